import io

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from sklearn.datasets import load_iris

from sklearnloss.exceptions import DataError, UnknownNameError
from sklearnloss.labeling.features import free_texts, numbers_of
from sklearnloss.labeling.session import Session
from sklearnloss.labeling.terminal import Keys, ask_all, class_keys

IRIS = load_iris(as_frame=True)
X = IRIS.data.iloc[::3].reset_index(drop=True)
TRUTH = IRIS.target_names[IRIS.target.to_numpy()[::3]].tolist()


@pytest.fixture
def begin(tmp_path):
    made = []

    def make(shown=X, labels=None, **params):
        labels = [None] * len(shown) if labels is None else labels
        session = Session(shown, labels, path=tmp_path / "answers.jsonl", target="species", **params)
        made.append(session)
        return session

    yield make
    for session in made:
        session.close()


def play(session, lines):
    """Answer by lines, and return what was shown."""
    shown = io.StringIO()
    ask_all(session, console=Console(file=shown, width=100), keys=Keys(io.StringIO("".join(f"{x}\n" for x in lines))))
    return shown.getvalue()


# -- answers ----------------------------------------------------------------------------------------------------------


def test_an_answer_counts_and_stays(begin):
    session = begin(classes=["setosa", "virginica"])
    session.answer(7, "setosa")
    session.answer(9, "new one")
    session.skip(11)
    assert session.labels()[7] == "setosa"
    assert session.classes == ["setosa", "virginica", "new one"]
    session.close()
    again = begin(classes=["setosa", "virginica"])
    assert again.labels() == session.labels()
    assert again.classes == session.classes
    assert again.answers[11] is None
    assert again.progress().labeled == 2


def test_an_answer_taken_back_was_never_given(begin):
    session = begin()
    session.answer(7, "a")
    session.skip(8)
    session.answer(7, "b")  # a second answer to a row takes the place of the first
    assert session.undo() == 7
    assert session.undo() == 8
    assert session.undo() is None
    assert session.labels() == [None] * 50
    session.close()
    assert begin().labels() == [None] * 50


def test_a_label_of_the_table_can_be_corrected_and_comes_back(begin):
    session = begin(labels=["old", *[None] * 49])
    session.answer(0, "new")
    assert session.labels()[0] == "new"
    session.undo()
    assert session.labels()[0] == "old"


def test_a_label_without_a_name_is_refused(begin):
    with pytest.raises(DataError, match="a label must have a name"):
        begin().answer(0, " ")


def test_another_table_is_refused(begin):
    begin().close()
    with pytest.raises(DataError, match="holds the answers to another table: its table was"):
        begin(shown=X + 1)
    with pytest.raises(DataError, match="its rows was 50, now it is 49"):
        begin(shown=X.iloc[1:])


def test_a_wrong_name_is_refused_before_the_file_is_made(begin, tmp_path):
    with pytest.raises(UnknownNameError, match="unknown strategy 'marign'"):
        begin(strategy="marign")
    with pytest.raises(UnknownNameError, match="unknown loss 'ldrr'"):
        begin(loss="ldrr")
    assert list(tmp_path.iterdir()) == []


# -- questions --------------------------------------------------------------------------------------------------------


def test_every_row_is_asked_once_and_what_was_skipped_at_the_end(begin):
    session = begin(shown=X.iloc[:12], labels=["setosa", *[None] * 11])
    asked = []
    while (row := session.next_row()) is not None:
        session.skip(row) if len(asked) < 2 else session.answer(row, "setosa" if row % 2 else "virginica")
        asked.append(row)
        session.wait()
    assert sorted(asked[:11]) == list(range(1, 12))
    assert sorted(asked[11:]) == sorted(asked[:2])
    assert session.progress().labeled == 12


def test_the_model_learns_beside_and_asks_what_it_doubts(begin):
    session = begin()
    for row in (0, 1, 2, 20, 21, 22, 40, 41, 42):
        session.answer(row, TRUTH[row])
    assert session.wait()
    assert np.mean([session.guess(row)[0][0] == TRUTH[row] for row in range(50)]) > 0.8
    asked = session.next_row()
    doubt = {row: session.guess(row)[0][1] for row in range(50) if session.label_of(row) is None}
    assert doubt[asked] < np.median(list(doubt.values()))
    now = session.progress()
    assert now.trained_on == 9
    assert now.accuracy > 0.5


def test_the_first_rows_are_of_different_kinds(begin):
    session = begin()
    assert session.wait()
    asked = []
    for _ in range(6):
        asked.append(session.next_row())
        session.skip(asked[-1])
    assert len({TRUTH[row] for row in asked}) == 3


def test_a_model_that_fails_does_not_end_the_session(begin):
    session = begin(shown=pd.DataFrame({"id": np.arange(20)}))  # nothing to learn from
    assert not session.wait()
    assert session.next_row() == 0
    session.answer(0, "a")
    assert "the model cannot learn (there is no column to learn from" in play(session, ["q"])


# -- what is learned from ---------------------------------------------------------------------------------------------


def test_sentences_are_learned_from_by_their_words(begin):
    rng = np.random.default_rng(0)
    words = {
        "spam": "win prize money cash free offer click".split(),
        "ham": "lunch meeting report thanks monday plan".split(),
    }
    labels = ["spam", "ham"] * 40
    texts = [" ".join(rng.choice(words[label], 6)) + f" {n}" for n, label in enumerate(labels)]
    frame = pd.DataFrame({"mail": texts, "length": rng.integers(5, 9, 80)})
    assert free_texts(frame) == ["mail"]
    session = begin(shown=frame)
    for row in range(8):
        session.answer(row, labels[row])
    assert session.wait()
    assert np.mean([session.guess(row)[0][0] == labels[row] for row in range(8, 80)]) > 0.9


def test_columns_that_name_rows_are_left_out_and_missing_values_filled():
    frame = pd.DataFrame({"id": range(40), "a": [1.0, None] * 20, "b": ["x", "y", None, "z"] * 10})
    numbers = numbers_of(frame)
    assert numbers.shape[0] == 40
    assert np.isfinite(numbers).all()
    assert numbers_of(frame[["a", "id"]]).shape[1] == numbers_of(frame[["a"]]).shape[1]


# -- keys -------------------------------------------------------------------------------------------------------------


def test_no_label_has_the_key_of_a_command():
    keys = class_keys([f"c{n}" for n in range(60)])
    assert not set(keys) & set("usnq?")
    assert list(keys.values())[:9] == [f"c{n}" for n in range(9)]
    assert len(keys) == 9 + 22 + 22


def test_lines_are_answers_where_there_is_no_terminal(begin):
    session = begin(shown=X.iloc[:6], classes=["setosa", "other"])
    text = play(session, ["1", "other", "s", "u", "zzz", "?", "n", "third", "n", "", "q"])
    given = [entry.get("label", "skip" if "skip" in entry else "undo") for entry in session.journal.entries]
    assert given == ["setosa", "other", "skip", "undo", "third"]
    assert "no label has the key 'zzz'" in text
    assert "Enter what the model says" in text
    assert "took the answer to row" in text


def test_enter_takes_what_the_model_says_and_the_end_is_said(begin):
    labels = [label if n % 5 else None for n, label in enumerate(TRUTH)]
    session = begin(labels=labels)
    assert session.wait()
    text = play(session, [""] * 10)
    assert session.progress().labeled == 50
    assert np.mean([a == b for a, b in zip(session.labels(), TRUTH, strict=True)]) > 0.95
    assert "every row has a label" in text
    assert "about" in text


def test_the_end_of_the_input_leaves(begin):
    session = begin(classes=["a"])
    play(session, [])
    assert session.journal.entries == []
