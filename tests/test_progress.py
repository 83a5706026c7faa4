"""A person sees a bar, a log gets a line now and then, a function is told, and short work says nothing in a log."""

import io
import subprocess
import time

import pytest

from zsc import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def a_log(monkeypatch):  # in the test itself: between set-up and test pytest puts its own stream back
    monkeypatch.setattr("sys.stderr", stream := io.StringIO())
    return stream


def test_a_function_is_told_each_step_and_the_total(monkeypatch):
    seen = a_log(monkeypatch)
    told = []
    assert list(progress.each("abc", lambda *numbers: told.append(numbers), "letters")) == ["a", "b", "c"]
    with progress.bar(lambda *numbers: told.append(numbers), None, "B", initial=5) as shown:
        shown.update(2)
        shown.set_postfix(loss="1", refresh=False)
    assert told == [(1, 3), (2, 3), (3, 3), (7, None)] and seen.getvalue() == ""


def test_a_log_gets_lines_with_rate_and_time_left(monkeypatch):
    seen = a_log(monkeypatch)
    monkeypatch.setattr(progress, "EVERY", 0.05)
    for _ in progress.each(range(30), True, "images"):
        time.sleep(0.01)
    lines = seen.getvalue().split("\n")
    assert len(lines) > 3 and "\r" not in seen.getvalue() and "\x1b" not in seen.getvalue()
    assert all("images/s" in line and "/30 [" in line for line in lines if line) and "30/30" in seen.getvalue()


def test_short_work_says_nothing_in_a_log_and_false_nothing_anywhere(monkeypatch):
    seen = a_log(monkeypatch)
    assert list(progress.each(range(3), True, "images")) == [0, 1, 2]
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    assert list(progress.each(range(3), False, "images")) == [0, 1, 2]
    assert seen.getvalue() == terminal.getvalue() == ""


def test_a_terminal_gets_a_bar(monkeypatch):
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    list(progress.each(range(3), True, "images"))
    assert "\r" in terminal.getvalue() and "3/3" in terminal.getvalue()


def test_an_error_and_an_interrupt_pass_through():
    with pytest.raises(ZeroDivisionError):
        for _ in progress.each(range(3), lambda done, total: 1 / (done - 2), "images"):
            pass


def test_the_commands_show_it_unless_they_are_told_to_be_quiet(monkeypatch, tmp_path, capsys):
    """The bar of the terminal, the lines of a log and nothing at all are chosen in one place."""
    from zsc import cli

    seen = []
    real = progress.bar
    monkeypatch.setattr("zsc.embeddings.bar", lambda shown, *a, **k: seen.append(shown) or real(shown, *a, **k))
    words = ["embed", "--dataset", "drawn-glasses", "--limit", "3", "--model", "toy", "--store", str(tmp_path)]
    for more, shown in (([], True), (["--quiet"], False), (["--json"], False)):
        assert cli.main([*words, *more]) == 0
        assert seen == [shown], more
        seen.clear()
    assert "%" not in capsys.readouterr().err  # three pictures take no ten seconds


def test_the_shells_complete_commands_and_options(capsys, tmp_path):
    from zsc import cli

    for shell in ("bash", "zsh", "fish"):
        with pytest.raises(SystemExit) as caught:
            cli.main(["--print-completion", shell])
        assert caught.value.code == 0
        (tmp_path / shell).write_text(capsys.readouterr().out)
    ask = 'COMP_WORDS=(zsc {0}); COMP_CWORD={1}; _shtab_zsc zsc {2} x; echo "${{COMPREPLY[@]}}"'
    for words, place, last, found in (("cl", 1, "cl", "classify"), ("sort --un", 2, "--un", "--undo")):
        script = f"source {tmp_path / 'bash'}; {ask.format(words, place, last)}"
        said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
        assert said.split() == [found], said
