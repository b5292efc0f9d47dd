"""How the page looks: system fonts, one accent, light and dark."""

from gradio.themes import Base, colors, sizes

# from c50, the lightest, to c950
_TEAL = "#effaf7 #d7f2ea #b0e4d6 #7fcfbd #4db4a0 #2a9784 #1c7a6b #196257 #174e47 #15413b #072522"
_STONE = "#faf9f7 #f3f1ed #e6e2dc #d2ccc3 #a49c91 #7a7268 #5c554c #464038 #2b2723 #1e1b18 #141210"

_IN_BOTH = {
    "block_border_width": "0px",
    "block_shadow": "none",
    "block_label_border_width": "0px",
    "block_label_text_weight": "500",
    "block_title_text_weight": "550",
    "input_border_width": "1px",
    "button_large_text_weight": "600",
    "button_border_width": "1px",
}
_IN_LIGHT_AND_DARK = {
    "body_background_fill": ("*neutral_50", "*neutral_950"),
    "body_text_color": ("*neutral_800", "*neutral_100"),
    "body_text_color_subdued": ("*neutral_600", "*neutral_400"),
    "background_fill_primary": ("white", "*neutral_900"),
    "background_fill_secondary": ("*neutral_100", "*neutral_800"),
    "border_color_primary": ("*neutral_200", "*neutral_800"),
    "block_background_fill": ("white", "*neutral_900"),
    "block_label_background_fill": ("transparent", "transparent"),
    "block_label_text_color": ("*neutral_600", "*neutral_300"),
    "block_title_text_color": ("*neutral_700", "*neutral_200"),
    "block_info_text_color": ("*neutral_600", "*neutral_400"),
    "input_background_fill": ("*neutral_50", "*neutral_950"),
    "input_border_color": ("*neutral_300", "*neutral_700"),
    "input_border_color_focus": ("*primary_600", "*primary_400"),
    "input_placeholder_color": ("*neutral_500", "*neutral_400"),
    "slider_color": ("*primary_600", "*primary_400"),
    "button_primary_background_fill": ("*primary_700", "*primary_400"),
    "button_primary_background_fill_hover": ("*primary_600", "*primary_300"),
    "button_primary_text_color": ("white", "*neutral_950"),
    "button_secondary_background_fill": ("white", "*neutral_800"),
    "button_secondary_background_fill_hover": ("*neutral_100", "*neutral_700"),
    "button_secondary_border_color": ("*neutral_300", "*neutral_700"),
    "button_secondary_text_color": ("*neutral_800", "*neutral_100"),
    "button_primary_border_color": ("transparent", "transparent"),
    "link_text_color": ("*primary_700", "*primary_300"),
}


def page_theme() -> Base:
    """Return the theme; it loads nothing from anywhere."""
    teal = colors.Color(*_TEAL.split(), name="teal")
    theme = Base(
        primary_hue=teal,
        secondary_hue=teal,
        neutral_hue=colors.Color(*_STONE.split(), name="stone"),
        radius_size=sizes.radius_lg,
        spacing_size=sizes.spacing_md,
        text_size=sizes.text_md,
        font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"],
        font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"],
    )
    light = {name: value for name, (value, _) in _IN_LIGHT_AND_DARK.items()}
    dark = {f"{name}_dark": value for name, (_, value) in _IN_LIGHT_AND_DARK.items()}
    return theme.set(**_IN_BOTH, **light, **dark)
