"""A campaign on a borrowed GPU machine: everything that only a card can say, in the minutes there are."""
