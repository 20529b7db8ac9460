"""The rendered pages are what the code says."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def renderer():
    spec = importlib.util.spec_from_file_location("render_docs", ROOT / "scripts" / "render_docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_rendered_pages_are_current():
    for path, text in renderer().pages().items():
        assert path.read_text() == text, f"{path.name} is not what the code says: make docs"


def test_a_page_that_is_not_current_is_found(tmp_path, monkeypatch, capsys):
    module = renderer()
    monkeypatch.setattr(module, "DOCS", tmp_path)
    assert module.main(["--check"]) == 1
    assert module.main([]) == 0
    assert module.main(["--check"]) == 0
    (tmp_path / "metrics.md").write_text("old")
    assert module.main(["--check"]) == 1
    assert "metrics.md is not what the code says" in capsys.readouterr().out


def test_every_field_is_in_the_reference():
    module = renderer()
    text = module.records_page()
    for fields in module.fields.structs().values():
        for field in fields:
            assert f"`{field.name}`" in text
