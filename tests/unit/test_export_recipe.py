"""Recipes are typed: what is written wrongly is told with its place, and what was meant."""

from pathlib import Path

import pytest

from export.__main__ import main
from export.data.recipe import RECIPES, load_recipe
from export.data.user_dataset import own_recipe, to_toml
from export.errors import DataError
from tests.unit.test_export_own import as_yolo, draw


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_that_comes_along_is_known(path: Path) -> None:
    """Each key of our own recipes is typed, also those that a recipe takes over from its base."""
    assert load_recipe(path.stem)["names"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("balence = 0.9", "balence: unknown key. Did you mean 'balance'?"),
        ("rotation = 3", "rotation: unknown key. Known here: "),
        ("sofen = false", "sofen: unknown key. Did you mean 'soften'?"),
        ("finish = { shar = 0.1 }", "finish.shar: unknown key. Did you mean 'share'?"),
        ("model = { width = [8] }", "model.width: unknown key. Did you mean 'widths'?"),
        ("model = 3", 'model: a text in quotes or a table is wanted, not 3; write model = "3"'),
        ("balance = 'much'", 'balance: a number of at least 0 is wanted, not "much"'),
        ("mosaic = 1.5", "mosaic: a number from 0 to 1 is wanted, not 1.5"),
        ("fit = [384]", "fit: a list of 2 entries is wanted, not one of 1"),
        ("[hide]\n'a.jpg' = ['b']", "hide"),
        (
            "[[source]]\nfolde = 'x'",
            "source[0]: says none of folder, scene_seeds, crops, frames, own. Did you mean 'folder'?",
        ),
        (
            "[[source]]\nfolder = 'x'\nclasses = [['car']]\nrepaet = {}",
            "source[0].repaet: unknown table. Did you mean 'repeat'?",
        ),
        (
            "[[source]]\nfolder = 'x'\nclasses = [['car']]\nrepeat = { a = 0 }",
            "source[0].repeat.a: a whole number of at least 1 is wanted, not 0",
        ),
        ("[[source]]\nfolder = 'x'", "source[0].classes: missing"),
        (
            "[[source]]\ncrops = 'x'\nmeaning = { a = 'b' }",
            'source[0].meaning.a: a list is wanted, not "b"; write a = ["b"]',
        ),
        (
            "[[source]]\nown = 'x'\nfolder = 'y'",
            "source[0]: folder and own at once; make a [[source]] of each",
        ),
        ("source = [1]", "source[0]: a table is wanted, not 1"),
    ],
)
def test_a_wrong_key_is_told_with_its_place(tmp_path: Path, text: str, reason: str) -> None:
    """A slip of the pen never passes silently: the file, the key, and what was meant."""
    path = tmp_path / "mine.toml"
    path.write_text(f'base = "traffic"\n{text}\n')
    with pytest.raises(DataError) as caught:
        load_recipe(str(path))
    assert str(caught.value).startswith(f"{path}: {reason}")
    assert "\n" not in str(caught.value)


def test_a_base_is_a_recipe_and_ends_somewhere(tmp_path: Path) -> None:
    """A recipe that inherits itself or a number is refused; one without a base needs every key."""
    path = tmp_path / "mine.toml"
    for text, reason in (
        (f'base = "{path}"', "inherits itself"),
        ("base = 3", "base: must be the name or the path"),
        ('name = "mine"', "names: missing"),
        ('names = ["car"]', "source: missing"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=reason):
            load_recipe(str(path))


def test_the_recipe_of_own_pictures_is_one(tmp_path: Path) -> None:
    """What training writes beside its checkpoint can be read again."""
    draw(tmp_path / "set" / "images" / "a.png", 1)
    draw(tmp_path / "set" / "images" / "b.png", 2)
    as_yolo(tmp_path / "set", [("cat", (10, 10, 20, 20))])
    recipe = own_recipe(tmp_path / "set")
    (tmp_path / "recipe.toml").write_text(to_toml(recipe))
    assert load_recipe(str(tmp_path / "recipe.toml")) == recipe


def test_a_recipe_to_judge_by_is_short(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names and sources are enough to judge; to learn, what is missing is told before anything is read."""
    path = tmp_path / "mine.toml"
    path.write_text('names = ["car"]\n[[source]]\nfolder = "x"\nclasses = [["car"]]\n')
    assert load_recipe(str(path))["names"] == ["car"]
    assert main(["train", str(path), "--data", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert "mine.toml: name, task, licence, seed, size, fit, scale, mosaic, batch, learning_rate" in told
    assert 'inherit them: base = "traffic"' in told
