"""Matplotlib's SVG made fit for the page: no style of its own, ids of its own, the page's colours."""

import xml.etree.ElementTree as ElementTree

from markupsafe import Markup

from polypref.figures.style import GRID, INK, LOSS, WIN

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
THEME = {INK: "currentColor", GRID: "var(--line)", WIN: "var(--win)", LOSS: "var(--loss)"}
POINT = 1.6
"""CSS pixels per point: a fifth larger than in print, for 9-point labels to be as large as the text."""

ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", XLINK)


def inline_svg(svg: str, prefix: str, title: str) -> tuple[Markup, bool]:
    """Make an SVG file part of a page.

    The page's Content-Security-Policy forbids style attributes, so each becomes the presentation attributes that say
    the same. Ids get a prefix, because two figures may use the same ones. Ink and grid take the page's colours.

    Parameters
    ----------
    svg : text of an SVG file as matplotlib writes it.
    prefix : of the ids, different for each figure of a page.
    title : accessible name.

    Returns
    -------
    The ``<svg>`` element, and whether it has the project's ink; a figure without it needs a white plate behind it.

    Raises
    ------
    xml.etree.ElementTree.ParseError
        It is not XML.
    """
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.split("}")[-1] in ("metadata", "style", "script"):
                parent.remove(child)
    for element in root.iter():
        _restyle(element, prefix)
    width = float(root.get("width", "720pt").removesuffix("pt")) * POINT
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.attrib |= {
        "width": f"{width:.0f}", "role": "img", "aria-label": title,
        "stroke-linejoin": "round", "stroke-linecap": "butt",
    }  # fmt: skip
    return Markup(ElementTree.tostring(root, encoding="unicode")), INK in svg


def _restyle(element: ElementTree.Element, prefix: str) -> None:
    """Style attribute to presentation attributes, ids prefixed, theme colours set."""
    for declaration in element.attrib.pop("style", "").split(";"):
        name, colon, value = declaration.partition(":")
        if colon:
            element.set(name.strip(), value.strip())
    for name, value in element.attrib.items():
        if name == "id":
            element.set(name, f"{prefix}-{value}")
        elif name in ("href", f"{{{XLINK}}}href") and value.startswith("#"):
            element.set(name, f"#{prefix}-{value[1:]}")
        elif value.startswith("url(#"):
            element.set(name, f"url(#{prefix}-{value[5:]}")
        elif name in ("fill", "stroke"):
            element.set(name, THEME.get(value, value))
