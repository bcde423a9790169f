"""The tutorial as one page: the committed notebook as HTML, the explorer beside it.

    python page/build.py [folder]      (the folder is site/, if none is given)

Nothing is run. Equations become MathML, which browsers draw themselves; the page brings
the font for them, its style and its few lines of script, and asks for nothing but the
pictures beside it. A formula that cannot be converted stops the build. On GitHub's
machines, which say where the repository stands, its contents also link to the
repository, and to the notebook on Colab.
"""

import base64
import html
import io
import itertools
import os
import re
import shutil
import sys
from collections import namedtuple
from importlib.resources import files
from pathlib import Path

import jinja2
import nbformat
from fontTools import subset
from math_core import LatexToMathML
from nbconvert.filters import ansi2html
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from PIL import Image
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

PAGE = Path(__file__).resolve().parent
ROOT = PAGE.parent
EXPLORER = "Results/latent_explorer.html"
# What browsers put in themselves: Latin and Greek italics, Planck's h, the root's sign
DRAWN = {*range(0x1D434, 0x1D468), *range(0x1D6E2, 0x1D71C), 0x210E, 0x221A}

Heading = namedtuple("Heading", "level id text")


def pieces(latex):
    """A long formula cut before its relations: lines may break there."""
    cuts = [0]
    for found in re.finditer(r" (?=(=|\\[lg]e|\\approx|\\simeq) )", latex):
        before = latex[: found.start()]
        closed = all(before.count(a) == before.count(b) for a, b in ("{}", "()", "[]"))
        if closed and len(latex) > 50:
            cuts.append(found.end())
    # {} stands for what the relation follows: without it there is no space before it
    return [
        "{}" * (a > 0) + latex[a:b] for a, b in itertools.pairwise([*cuts, len(latex)])
    ]


def without_links(text):
    return re.sub(r"</?a\b.*?>", "", text)


class Renderer(IPythonRenderer):
    """Markdown as HTML; keeps the headings that it meets, and the formulas' letters."""

    def __init__(self):
        super().__init__(escape=False)
        self.convert = LatexToMathML(macros={"widetilde": r"\tilde{#1}"})
        self.headings, self.letters, self.anchor, self.parts = [], set(DRAWN), "", 0

    def math(self, latex, display):
        found = self.convert.convert_with_local_state(latex, displaystyle=display)
        self.letters |= {ord(c) for c in re.sub("<.*?>", "", html.unescape(found))}
        return found

    def inline_math(self, body):
        found = "<wbr>".join(self.math(piece, False) for piece in pieces(body))
        return f'<span class="formula">{found}</span>'

    def block_math(self, body):
        """An equation; the number of its tag stands beside it and is its anchor."""
        number = re.search(r"\\tag\{(\w+)\}", body)
        math = self.math(body.replace(number[0], "") if number else body, True)
        math = f'<span class="wide">{math}</span>'
        if not number:
            return f'<span class="equation">{math}</span>'
        name = f"eq-{number[1]}"
        link = f'<a href="#{name}" aria-label="Equation {number[1]}">({number[1]})</a>'
        return f'<span class="equation" id="{name}">{math}{link}</span>'

    def text(self, text):
        """Where an equation is named, a link leads to it."""
        name, link = r"\b((?:[Ee]quation|Eq\.) (\d+))", r'<a href="#eq-\2">\1</a>'
        return re.sub(name, link, super().text(text))

    def link(self, text, url, title=None):
        return super().link(without_links(text), url, title)

    def image(self, text, url, title=None):
        """A film stands still where its reader's settings ask for less motion."""
        found = super().image(text, url, title)
        if not url.endswith(".gif"):
            return found
        still = url.removesuffix("gif") + "png"
        return (
            '<picture><source media="(prefers-reduced-motion: reduce)" '
            f'srcset="{still}">{found}</picture>'
        )

    def paragraph(self, text):
        """An anchor alone in a paragraph goes to the next heading that is a section."""
        anchor = re.fullmatch(r'<a id="([^"]+)"></a>', text.strip())
        self.anchor = anchor[1] if anchor else self.anchor
        return "" if anchor else super().paragraph(text)

    def heading(self, text, level, **attrs):
        """The title is the only h1; parts are h2, and what stands in them is below."""
        self.parts += level == 1 and bool(self.headings)
        level += bool(self.headings) if level == 1 else bool(self.parts)
        text = without_links(text)
        plain = re.sub("<.*?>", "", text)
        name = re.sub(r"\W+", "-", html.unescape(plain).lower()).strip("-")
        if level == 3 and self.anchor:
            name, self.anchor = self.anchor, ""
        self.headings.append(Heading(level, name, plain))
        return f'<h{level} id="{name}">{text}</h{level}>\n'


def contents(headings):
    """(heading, headings of the sections in it) of every part."""
    parts = []
    for heading in headings:
        if heading.level == 2:
            parts.append((heading, []))
        elif heading.level == 3:
            parts[-1][1].append(heading)
    return parts


def code(source):
    return highlight(source, PythonLexer(), HtmlFormatter(nowrap=True))


def title_of(cell):
    """The title of a folded cell; none of any other."""
    if "fold" not in cell.metadata.get("tags", []):
        return None
    return cell.source.split("\n")[0].removeprefix("# @title ")


def sized(found):
    """The start of a picture's tag, with its width and height."""
    kind, comma, data = found[1].partition(";base64,")
    file = io.BytesIO(base64.b64decode(data)) if comma else ROOT / found[1]
    with Image.open(file) as picture:
        return f'{found[0]} width="{picture.width}" height="{picture.height}"'


def mend(text):
    """What the HTML lacks: sizes, frames that scroll, the explorer's new place."""
    text = re.sub(r'<img src="([^"]+)"', sized, text)
    text = text.replace("<table>", '<div class="wide"><table>')
    text = text.replace("</table>", "</table></div>")
    text = re.sub(r"<th[^>]*></th>", "<td></td>", text)  # a heading needs words
    text = text.replace("<iframe ", '<iframe loading="lazy" ')
    return re.sub(rf'(src|href)="{EXPLORER}"', r'\1="explorer.html"', text)


def font(letters):
    """STIX Two Math with these letters and all that grows with them, as a data link."""
    path = files("ziamath") / "fonts/STIXTwoMath-Regular.ttf"
    options = subset.Options(flavor="woff", name_IDs=["*"], notdef_outline=True)
    cutter, file = subset.Subsetter(options), io.BytesIO()
    whole = subset.load_font(str(path), options)
    # An index hangs from its letter's foot by TeX's rule, not from below its tail
    whole["MATH"].table.MathConstants.SubscriptBaselineDropMin.Value = 0
    cutter.populate(unicodes=letters)
    cutter.subset(whole)
    subset.save_font(whole, file, options)
    return f"data:font/woff;base64,{base64.b64encode(file.getvalue()).decode()}"


def addresses():
    """Links by their text, to the repository and to the notebook on Colab; none, but on
    GitHub's machines.
    """
    place, branch = map(os.environ.get, ("GITHUB_REPOSITORY", "GITHUB_REF_NAME"))
    if not place or not branch:
        return {}
    colab = "https://colab.research.google.com/github"
    return {
        "Run it on Colab": f"{colab}/{place}/blob/{branch}/VAE_MNIST.ipynb",
        "The repository": f"https://github.com/{place}",
    }


def write_tutorial(folder):
    """index.html, and the pictures that it shows."""
    notebook = nbformat.read(ROOT / "VAE_MNIST.ipynb", as_version=4)
    renderer = Renderer()
    markdown = MarkdownWithMath(renderer).render
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.html = markdown(cell.source)
        for output in cell.get("outputs", []):
            if "text/markdown" in output.get("data", {}):
                output.data["text/html"] = markdown(output.data["text/markdown"])
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= dict(code=code, ansi=ansi2html, fold=title_of)
    environment.filters["read"] = lambda name: (PAGE / name).read_text("utf-8")
    title, parts = renderer.headings[0].text, contents(renderer.headings)
    template = environment.get_template("template.html")
    shown = dict(cells=notebook.cells, title=title, parts=parts, links=addresses())
    text = mend(template.render(**shown, font=font(renderer.letters)))
    for name in set(re.findall(r'(?:src|srcset|href)="(Results/[^"]+)"', text)):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    (folder / "index.html").write_text(text, encoding="utf-8")


def write_explorer(folder):
    """The committed explorer, which learns here where the tutorial is."""
    text = (ROOT / EXPLORER).read_text(encoding="utf-8")
    place = '<meta name="tutorial" content="'
    assert f'{place}">' in text, "the explorer has no place for the tutorial's address"
    link = f'{place}index.html">\n<base target="_top">'
    text = text.replace(f'{place}">', link, 1)
    (folder / "explorer.html").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    site = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "site")
    site.mkdir(parents=True, exist_ok=True)
    write_tutorial(site)
    write_explorer(site)
    print(f"open {site / 'index.html'} in a browser")
