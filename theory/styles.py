"""How documents look: a page of HTML, a sheet of Typst, a preamble of LaTeX."""

from __future__ import annotations

__all__ = ["HTML", "LATEX", "TYPST"]

_CSS = """
:root { color-scheme: light dark; --ink: #1c1e21; --soft: #5b6168; --line: #d9dce0;
  --paper: #fdfdfc; --shade: #f2f3f4; --link: #0b5cad; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e6e8; --soft: #a3a9b0; --line: #3b4046;
  --paper: #16181b; --shade: #212428; --link: #7db8f5; } img { filter: invert(.9)
  hue-rotate(180deg); } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 44rem; padding: 2.5rem 1.25rem 4rem; color: var(--ink);
  background: var(--paper); font: 1.0625rem/1.6 "Charter", "Bitstream Charter", "Source Serif 4",
  "Noto Serif", Georgia, serif; overflow-wrap: break-word; }
h1, h2, h3 { font-family: system-ui, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif;
  line-height: 1.25; margin: 2.4em 0 .6em; }
h1 { font-size: 2rem; margin-top: 0; }
h2 { font-size: 1.35rem; padding-bottom: .25em; border-bottom: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin-top: 1.8em; }
a { color: var(--link); }
p, ul, ol { margin: .8em 0; }
li { margin: .35em 0; }
h1 + p { padding: .9em 1.1em; background: var(--shade); border-left: 4px solid var(--link);
  border-radius: 0 4px 4px 0; }
math { font-family: "STIX Two Math", "Latin Modern Math", "Cambria Math",
  "DejaVu Math TeX Gyre", math; }
mtable, mtd { math-style: normal; }
math[display="block"] { overflow-x: auto; overflow-y: hidden; padding: .5em 0;
  font-size: 1.08em; }
p:has(> math[display="block"]) { margin: .4em 0; }
p:has(> math[display="block"]) + p { color: var(--soft); font-size: .85em; margin-top: .2em; }
code { font: .88em ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  background: var(--shade); padding: .1em .3em; border-radius: 3px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: 1em 0; font-size: .95em;
  font-variant-numeric: tabular-nums; }
th, td { padding: .4em .9em; border-bottom: 1px solid var(--line); }
th { border-bottom: 2px solid var(--soft); vertical-align: bottom; }
img { display: block; max-width: 100%; height: auto; margin: 1.2em auto; }
hr { border: 0; border-top: 1px solid var(--line); margin: 3em 0 1em; }
hr + p { color: var(--soft); font-size: .85em; }
@media (max-width: 30rem) { body { font-size: 1rem; padding-top: 1.25rem; }
  h1 { font-size: 1.6rem; } th, td { padding: .35em .5em; } }
@media print { body { max-width: none; font-size: 10.5pt; padding: 0; }
  h2, h3 { break-after: avoid; } math[display="block"], table, img { break-inside: avoid; } }
"""

HTML = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="varprop">
<title>@title@</title>
<style>{_CSS}</style>
</head>
<body>
@body@
</body>
</html>
"""

TYPST = """
#set document(title: "@title@", date: none)
#set page(paper: "a4", margin: (x: 2.6cm, top: 2.4cm, bottom: 2.6cm), numbering: "1 / 1",
  header: context if counter(page).get().first() > 1 {
    set text(9pt, fill: luma(90))
    [#"@title@" #h(1fr) varprop]
  })
#set text(font: "Libertinus Serif", size: 11pt, lang: "en")
#set par(justify: true, leading: 0.68em, spacing: 1.05em)
#show heading: set text(font: "Libertinus Serif", weight: "bold")
#show heading.where(level: 1): set block(below: 1.2em)
#show heading.where(level: 1): set text(21pt)
#show heading.where(level: 2): set block(above: 1.9em, below: 0.9em)
#show heading.where(level: 2): set text(14pt)
#show heading.where(level: 3): set block(above: 1.6em, below: 0.8em)
#show heading.where(level: 3): set text(11.5pt)
#show math.equation.where(block: true): set block(above: 1.1em, below: 1.1em)
#show raw: set text(font: "DejaVu Sans Mono", size: 0.95em)
#show link: set text(fill: rgb("#0b5cad"))
#show figure: set block(breakable: false)
#set table(inset: (x: 7pt, y: 4.5pt), stroke: (x: none, y: 0.5pt + luma(200)))
#show table: set par(justify: false)
#set image(width: 92%)
#let horizontalrule = line(length: 100%, stroke: 0.5pt + luma(160))

@body@
"""

LATEX = r"""% Compile with lualatex or xelatex.
\documentclass[11pt,a4paper]{article}
\usepackage[margin=2.6cm]{geometry}
\usepackage{amsmath,amssymb}
\usepackage{fontspec,unicode-math}
\usepackage{graphicx,booktabs,longtable,array,calc}
\usepackage[hidelinks]{hyperref}
\setlength{\parindent}{0pt}
\setlength{\parskip}{0.6em}
\setcounter{secnumdepth}{0}
\providecommand{\tightlist}{\setlength{\itemsep}{0.2em}\setlength{\parskip}{0pt}}
\newcommand{\pandocbounded}[1]{\begin{center}#1\end{center}}
\setkeys{Gin}{width=0.92\linewidth,keepaspectratio}
\begin{document}
@body@
\end{document}
"""
