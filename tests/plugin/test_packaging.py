# SPDX-License-Identifier: Apache-2.0
"""Packaging: the wheel and setup.cfg contain every package and file of the source tree."""

import configparser
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def settings() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", "utf-8")
    return parser


def packages_in_tree() -> set[str]:
    roots = {ROOT: "napari_vfss", ROOT / "src": "vfss", ROOT / "training": "vfss_training"}
    return {
        ".".join(init.parent.relative_to(base).parts)
        for base, top in roots.items()
        for init in (base / top).rglob("__init__.py")
    }


def test_setup_cfg_lists_every_package() -> None:
    listed = set(settings()["options"]["packages"].split())
    assert listed == packages_in_tree()


def test_every_module_is_in_a_package() -> None:
    for top in (ROOT / "napari_vfss", ROOT / "src" / "vfss", ROOT / "training" / "vfss_training"):
        for module in top.rglob("*.py"):
            assert (module.parent / "__init__.py").is_file(), f"{module} is not in a package"


def test_no_qt_binding_in_the_base_install() -> None:
    base = settings()["options"]["install_requires"].lower()
    assert "pyqt6" not in base and "pyside" not in base and "qtpy" in base


def test_every_source_file_names_the_licence() -> None:
    sources = [
        p for top in ("napari_vfss", "src", "training", "tests", "benchmarks") for p in (ROOT / top).rglob("*.py")
    ]
    assert sources
    for path in sources:
        assert path.read_text("utf-8").startswith("# SPDX-License-Identifier: Apache-2.0\n"), path


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    from setuptools import build_meta

    out = tmp_path_factory.mktemp("wheel")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        # Keep the build's temporary folders next to the wheel, out of the checkout.
        patch.setattr("sys.argv", ["setup.py"])
        name = build_meta.build_wheel(str(out), {"--build-option": ["--bdist-dir", str(out / "bdist")]})
    return zipfile.ZipFile(out / name)


def test_the_wheel_contains_code_manifest_schema_and_student(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    assert "napari_vfss/napari.yaml" in names
    assert "vfss/schemas/vfss12.yaml" in names
    recipes = ROOT / "training" / "vfss_training" / "recipes"
    for path in recipes.rglob("*.yaml"):
        assert f"vfss_training/recipes/{path.relative_to(recipes)}" in names
    assert "vfss/student/default.safetensors" in names
    assert "vfss_training/cli/app.py" in names
    student = wheel.getinfo("vfss/student/default.safetensors")
    assert student.file_size <= 25_000_000
    tops = {name.split("/")[0] for name in names if not name.split("/")[0].endswith(".dist-info")}
    assert tops == {"napari_vfss", "vfss", "vfss_training"}
