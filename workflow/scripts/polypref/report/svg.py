"""Prepare matplotlib's SVG for embedding: without style sheets, with unique ids, and in the page's colours."""

import xml.etree.ElementTree as ElementTree

from markupsafe import Markup

from polypref.figures.style import GRID, INK, LOSS, WIN

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
THEME = {INK: "currentColor", GRID: "var(--line)", WIN: "var(--win)", LOSS: "var(--loss)"}
POINT = 1.6
"""CSS pixels per point: a fifth larger than in print, so that 9-point labels are as large as the page's text."""

ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", XLINK)


def inline_svg(svg: str, prefix: str, title: str) -> tuple[Markup, bool]:
    """Convert an SVG file to an element that can be embedded in a page.

    Style attributes are converted to presentation attributes, because the page's Content-Security-Policy forbids the
    former. Ids get a prefix, because two figures may use the same ids. Theme colours are replaced by the page's.

    Parameters
    ----------
    svg : text of an SVG file written by matplotlib.
    prefix : prefix of the ids, unique on the page.
    title : accessible name.

    Returns
    -------
    The ``<svg>`` element, and whether it uses the colour `INK`; other figures need a white background.

    Raises
    ------
    xml.etree.ElementTree.ParseError
        The text is not valid XML.
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
    """Convert style attributes to presentation attributes, prefix ids, and replace theme colours."""
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
