"""The command ``varprop``. Everything heavy is imported inside the command that needs it."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Any

import click

from . import bench_command, compare_command, gain_command, histogram_command, list_commands
from .command_output import FIGURE, check_outputs, form_options, progress_bar, put, wrote
from .options import in_options, network_options, network_parts, run_options
from .phase_command import phase_options
from .spectrum_command import spectrum_options
from .sweep_command import sweep_options

OK, ERROR, INTERRUPTED = 0, 1, 130
# What bad values, files and missing optional packages raise; anything else is a bug to be shown.
_EXPECTED = (
    ValueError,
    TypeError,
    OSError,
    OverflowError,
    MemoryError,
    ImportError,
    NotImplementedError,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0 ok; 1 an error, told in one line on stderr; 2 wrong usage; 130 interrupted (Ctrl-C).

    Examples
    --------
    >>> main(["--version"])  # doctest: +ELLIPSIS
    varprop ...
    0
    """
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            code = cli.main(args=arguments, prog_name="varprop", standalone_mode=False)
        return code if isinstance(code, int) else OK
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("varprop: interrupted", err=True)
        return INTERRUPTED


class _Failed(click.ClickException):
    """What went wrong, in one line on stderr."""

    exit_code = ERROR

    def show(self, file: Any = None) -> None:
        text = f"varprop: error: {self.message}"
        if sys.stderr.isatty():
            from .text import wrapped

            text = wrapped(text, "  ")
        click.echo(text, file=file, err=True)


class _Group(click.Group):
    """Tells errors of the library in the words of the command's options."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # whoever read has seen enough; click ends quietly
        except _EXPECTED as error:
            text = " ".join(str(error).split()) or type(error).__name__
            command = self.commands[ctx.invoked_subcommand or ""]
            raise _Failed(in_options(text, command)) from error


def _warn(message: Warning | str, *_where: object, **_more: object) -> None:
    """A warning in one line, without the place in the code."""
    click.echo(f"varprop: warning: {message}", err=True)


def _version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from . import __version__

        click.echo(f"varprop {__version__}")
        context.exit()


@click.group(
    cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80}
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version,
    help="Show the version and exit.",
)  # fmt: skip
def cli() -> None:
    """What happens to a signal on its way through a deep random network?

    \b
    Examples:
      varprop simulate --depth 200 --act relu --scheme he
      varprop simulate --depth 50 --act tanh --sigma-w 1.5 --compare
      varprop compare --act tanh --schemes "normal(0.01),xavier,he"
      varprop gain gelu
      varprop derive relu -o relu.md

    \b
    The shell completes commands, options and names, once told so:
      eval "$(_VARPROP_COMPLETE=bash_source varprop)"      in .bashrc
      eval "$(_VARPROP_COMPLETE=zsh_source varprop)"       in .zshrc
      _VARPROP_COMPLETE=fish_source varprop | source       in config.fish

    Exit codes: 0 ok, 1 error, 2 wrong usage, 130 interrupted.
    """


@cli.command()
@network_options
@run_options
@click.option(
    "--input",
    "input_file",
    type=click.Path(exists=True, dir_okay=False),
    help="Inputs: one row of numbers each, .npy or .csv.  [default: mean square 1]",
)
@click.option("--plot", "plot_file", type=FIGURE, help="Draw a figure (.png, .svg, .pdf).")
@click.option("--save", "save_file", type=FIGURE, help="Save the result; varprop.load reads it.")
@click.option("--compare", is_flag=True, help="Hold the result against theory.")
@form_options
def simulate(
    input_file: str | None,
    plot_file: str | None,
    save_file: str | None,
    compare: bool,
    form: str | None,
    **options: Any,
) -> None:
    """Draw random networks and measure a signal in every layer.

    \b
    Examples:
      varprop simulate --depth 200 --act relu --scheme he
      varprop simulate --depth 50 --act tanh --scheme "normal(0.01)" --plot a.png
      varprop simulate --depth 30 --act "x*sigmoid(1.702*x)" --sigma-w 1.5
      varprop simulate --widths 784,500,500,10 --input row.csv --compare
      varprop simulate --depth 50 --act tanh --correlation 0.5 --engine reference
      varprop simulate --depth 9 --json | jq ".layers[8].preactivation.log_median"

    In a .csv file # begins a comment. With --input and --width, the first
    layer takes as many inputs as a row of the file has numbers. With several
    rows the correlations of all pairs are measured; table, --plot and --compare
    are of the first input. --plot draws theory as a line, where there is one.

    \b
    --json prints one object; ln is the natural logarithm, and null stands where
    there is no finite number (ln 0, the standard error of one network):
      varprop, engine, seed, trials, ranges, input, saturated_below: what ran
      network: depth, width or widths (n0, n1, ...), act, scheme, sigma_b, and
        residual, norm, dropout where there are any
      log_input_mean_square: ln(|x|^2/n0)
      dead, first_death: networks whose units all are 0, and the first such layer
      log_growth_per_layer: of q, median over networks;
      log_late_growth_per_layer: the same in the second half of the layers
      log_gradient_growth: of g, from the last layer to the first; null without
      layers: one object per layer,
        layer: 1, 2, ...
        variance, preactivation, activation, gradient (K, q, a, g): each
          log_median, log_p10, log_p90: ln of quantiles over networks
          log_mean, log_stderr: mean of ln over networks, its standard error
        gap, kernel_gap (1-c of pre-activations, and of K), tangent, adjoint
          (growth of perturbations): the same, where measured
        relative_mean (mean/rms of activations), saturated, zero (shares),
          correlation (c): each
          mean, stderr: over networks
        with several inputs, pairs, cotangents or tangents, lists of these
      pairs: [first, second] of each pair of inputs, where there are several
      lyapunov: exponents per layer, with --tangents
      histogram: with --histogram, counts of each layer's bins; bin i begins at
        (i - bins/2) 2^exponent
      comparison: with --compare, what the comparison found
    --csv prints the layers, a row each.
    """
    from .inputs import read_input

    parts = network_parts(options)
    x = None if input_file is None else read_input(input_file)
    check_outputs(plot_file, save_file)
    from . import simulate as run

    with progress_bar(f"{options['trials']} networks of depth {parts['depth']}") as progress:
        result = run(**parts, x=x, progress=progress, **options)
    if save_file is not None:
        result.save(save_file)
        wrote(save_file)
    comparison = result[0].compare() if compare else None
    if plot_file is not None:
        from .plot import save_figure

        save_figure(result.plot(), plot_file)
        wrote(plot_file)
    from .summary import as_dict

    def text() -> str:
        return str(result) if comparison is None else f"{result}\n\n{comparison}"

    def document() -> dict[str, Any]:
        found = as_dict(result)
        return found if comparison is None else found | {"comparison": comparison.to_dict()}

    put(form, text, document, lambda: as_dict(result)["layers"])


@cli.command(short_help="Simulate a grid of parameters.")
@sweep_options
@form_options
def sweep(
    store: str,
    resume: bool,
    threads: int | None,
    dask: str | None,
    form: str | None,
    **options: Any,
) -> None:
    """Simulate every combination of parameters, into a Zarr store.

    Numbers may be lists, 1,2,5, or ranges, 0.5:3:26 (first, last, how many);
    --act and --scheme may be given several times. A sweep that was stopped,
    whatever stopped it, goes on with --resume. Needs an extra:
    pip install "varprop[sweep]".

    \b
    Examples:
      varprop sweep --act tanh --sigma-w 0.5:3:26 --sigma-b 0:1:11 --depth 50 \\
        --trials 20 --store tanh.zarr
      varprop sweep --store tanh.zarr --resume
    """
    from . import sweep_command as room

    done = room.run(store, threads, dask, room.parameters(options, store, resume))
    put(form, lambda: room.told(done), lambda: done, lambda: [done])


@cli.command(short_help="Draw where gradients grow and where they fade.")
@phase_options
@form_options
def phase(output: str, form: str | None, **options: Any) -> None:
    """Measure gradients, correlation and variance over sigma_w and sigma_b; draw them.

    Networks go where they are needed to reach --stderr in every cell. Theory's edge
    of chaos and its depth scales lie over the figure.

    \b
    Examples:
      varprop phase --act tanh -o phase.png
      varprop phase --act gelu --sigma-w 1:2:41 --sigma-b 0:1:21 -o gelu.pdf

    --json prints one object: the axes sigma_w and sigma_b, growth (of g per layer,
    ln), correlation and log_variance (of the last layer) with their standard
    errors, by sigma_b and then sigma_w, theory's predicted_growth, and the edge.
    --csv prints a row for each cell.
    """
    from . import phase_command as room

    check_outputs(output, None)
    diagram = room.draw_phases(output, options)
    wrote(output)
    put(
        form,
        lambda: room.edge_table(diagram),
        lambda: room.phase_document(diagram),
        lambda: room.phase_records(diagram),
    )


@cli.command(short_help="Find the singular values of a deep Jacobian.")
@network_options
@spectrum_options
def spectrum(output: str | None, compare: bool, form: str | None, **options: Any) -> None:
    """Draw random networks and find all singular values of their Jacobians dz/dx.

    However far they lie apart: a product of matrices is carried as a graded QR
    decomposition, in logarithms. The participation ratio and the effective rank say how
    many directions of its input a network keeps.

    \b
    Examples:
      varprop spectrum --depth 8 --width 200 --act linear --scheme lecun -o a.png
      varprop spectrum --depth 50 --width 100 --act tanh --compare
    """
    from . import spectrum_command as room

    parts = network_parts(options)
    check_outputs(output, None)
    with progress_bar(f"{options['trials']} Jacobians of depth {parts['depth']}") as progress:
        measured = room.measure(parts, output, progress, options)
    room.show(measured, compare, form)
    if output is not None:
        wrote(output)


@cli.command(short_help="Derive a result and write it up.")
@click.argument("name", required=False)
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    type=click.Path(),
    help="Write to this file (.md, .html, .tex, .ipynb, .pdf); with --all, to this folder.",
)
@click.option("--all", "everything", is_flag=True, help="Every derivation, and an index.")
@click.option(
    "--format",
    "suffix",
    type=click.Choice(["html", "md", "tex", "ipynb", "pdf"]),
    help="Format of --all.  [default: html]",
)
@click.option("--list", "listing", is_flag=True, help="List the derivations there are.")
@form_options
def derive(
    name: str | None,
    outputs: tuple[str, ...],
    everything: bool,
    suffix: str | None,
    listing: bool,
    form: str | None,
) -> None:
    """Derive a result, check every step of it, and write it up.

    NAME is a derivation (--list), an activation, or a formula in x. In the figures
    of a document simulated networks lie over the theory. Formats but .md and .ipynb
    need an extra: pip install "varprop[documents]".

    \b
    Examples:
      varprop derive --list
      varprop derive relu
      varprop derive relu -o relu.html -o relu.pdf
      varprop derive "x*tanh(x)" -o mine.md
      varprop derive --all -o derivations/

    --json and --csv print the equations, as LaTeX and as formulas, and the outcome
    of checking each: proved, or confirmed at random points.
    """
    if (name is not None) + everything + listing != 1:
        raise click.UsageError("give the NAME of a derivation, a formula, --all or --list")
    if suffix is not None and not everything:
        raise click.UsageError("--format goes with --all; else the ending of -o says the format")
    if everything and len(outputs) != 1:
        raise click.UsageError("--all needs one folder to write to: -o FOLDER")
    if listing and outputs:
        raise click.UsageError("--list only prints; it writes no file")
    if form is not None and (outputs or everything):
        raise click.UsageError(f"--{form} goes to the terminal or a pipe, not with -o or --all")
    from . import derive_command as room

    if listing:
        put(form, room.listing, room.names, room.names)
    elif form is not None:
        found = room.checked(str(name))
        put(form, str, lambda: found, lambda: found["equations"])
    elif everything:
        room.derive_all(outputs[0], suffix or "html")
    elif outputs:
        room.write_documents(str(name), outputs)
    else:
        room.show(str(name))


for _command in (
    compare_command.compare,
    histogram_command.histogram,
    gain_command.gain,
    gain_command.critical,
    list_commands.activations,
    list_commands.schemes,
    list_commands.info,
    bench_command.bench,
):
    cli.add_command(_command)
