"""What a campaign measures; each stage is a function from the campaign to rows of named tables."""
