"""The command, its file and the comparison of files, as a user meets them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sngan_cond import Generator
from sngan_cond.sampling import to_uint8
from tests.processes import python, run
from tests.refusals import refused_command
from tests.train.evaluation.parts import measured, scores, tiny_generator, write_dataset
from tests.train.launch import TWO
from train import evaluate as command
from train.data.dataset import PreparedDataset
from train.evaluation.classifier import accuracy, train_classifier
from train.evaluation.classifier import main as classifier_main
from train.evaluation.classifier_file import load_classifier, save_classifier
from train.evaluation.extractors import load_extractor
from train.evaluation.protocols import PROTOCOLS
from train.evaluation.report import weights_sha256
from train.evaluation.streams import FakeStream, draw_labels

IDENTITY = ["--extractor", "identity", "--fakes", "40", "--reals", "50", "--no-progress"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model and a data set."""
    root = tmp_path_factory.mktemp("evaluate")
    tiny_generator().save_pretrained(root / "model")
    write_dataset(root / "data")
    return root


def flags(folder: Path, *more: object, out: str = "metrics.json", protocol: str = "quick") -> list[str]:
    base = ["--model", folder / "model", "--data", folder / "data", "--protocol", protocol, "--out", folder / out]
    return [str(flag) for flag in (*base, "--cache", folder / "cache", *IDENTITY, *more)]


def call(folder: Path, *more: object, **options: str) -> int:
    return command.main(flags(folder, *more, **options))


def test_the_file_says_everything(folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert call(folder, "--seed", "4", "--truncation", "1.5", "--metrics", "class_score", "kernel", "ms_ssim") == 0
    assert "kernel_distance_identity" in capsys.readouterr().out
    result = json.loads((folder / "metrics.json").read_text())
    rows = {row["name"]: row for row in result["metrics"]}
    assert set(rows) == {"class_score_identity", "kernel_distance_identity", "intra_ms_ssim"}
    kernel = rows["kernel_distance_identity"]
    assert kernel["std"] > 0
    assert kernel["settings"]["subset_size"] == 20
    assert (kernel["protocol"], kernel["fake_count"], kernel["real_count"]) == ("quick(reduced)", 40, 50)
    assert (kernel["seed"], kernel["extractor"], len(kernel["extractor_sha256"])) == (4, "identity", 64)
    assert rows["class_score_identity"]["real_count"] == 0
    assert rows["intra_ms_ssim"]["settings"]["pairs_per_class"] == 20
    info = json.loads((folder / "data" / "dataset.json").read_text())
    assert result["dataset"]["sha256"] == info["sha256"]
    assert result["dataset"]["preparation"] == info["preparation"]
    assert result["extractor"]["resize"] == "none"
    assert result["truncation"] == 1.5
    assert result["seeds"]["latents_and_labels"] == 4
    assert result["model"]["weights_sha256"] == weights_sha256(tiny_generator())
    assert result["model"]["name"] == "model"
    assert {"torch", "torch-fidelity", "numpy", "python"} <= result["versions"].keys()
    assert result["seconds"] > 0
    assert str(folder) not in (folder / "metrics.json").read_text()  # no path of this machine
    assert sorted(path.name for path in folder.iterdir()) == ["cache", "data", "metrics.json", "model"]


def test_the_command_gives_what_the_function_gives(folder: Path) -> None:
    assert call(folder, "--metrics", "class_score", "--batch", "16", out="a.json") == 0
    G, dataset = Generator.from_pretrained(folder / "model"), PreparedDataset.open(folder / "data")
    protocol = PROTOCOLS["quick"].reduced(fakes=40, reals=50)
    report = measured(G, dataset, protocol, "class_score", extractor=load_extractor("identity"), batch_size=16)
    assert scores(folder / "a.json") == {row["name"]: row["value"] for row in report.metrics}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--protocol", "papre"], "--protocol 'papre': allowed are"),
        (["--metrics", "fid"], "--metrics 'fid': allowed are"),
        (["--extractor", "identiti"], "--extractor 'identiti': allowed are"),
        (["--fakes", "3"], "--fakes 3: an integer from 20 is allowed"),
        (["--reals", "241"], "240 images, protocol quick(reduced) takes 241; --reals 240 takes all of them"),
        (["--batch", "0"], "--batch 0: an integer from 1 is allowed"),
        (["--seed", "-1"], "--seed=-1: an integer from 0"),
        (["--truncation", "0.001"], "--truncation=0.001: None or a finite threshold from 0.05"),
        (["--device", "gpu"], "--device 'gpu': auto, cpu, cuda or cuda:N is allowed"),
        (["--device", "cuda:"], "--device 'cuda:': auto, cpu, cuda or cuda:N is allowed"),
        (["--data", "nowhere"], "nowhere: no such folder"),
        (["--model", "no/where/here"], "--model: "),
        (["--weights", "w.pth"], "the identity extractor takes none"),
        (["--classifier", "none.safetensors"], "--classifier none.safetensors: not a classifier"),
        (["--metrics", "classifier_accuracy"], "--classifier FILE is needed"),
        (["--out", "scores.json", "--nearest", str(Path("scores.json").resolve())], "scores.json: the file of --out"),
    ],
)
def test_mistakes_are_one_line(folder: Path, more: list[str], message: str) -> None:
    refused_command(command.main, flags(folder, *more, out="wrong.json"), message)
    assert not (folder / "wrong.json").exists()


def test_help_waits_for_no_torch() -> None:
    python("-c", "import sys, train.evaluate; train.evaluate.parser().format_help(); assert 'torch' not in sys.modules")


def test_examples_are_whole_commands() -> None:
    examples = command.EPILOG.partition("\n\n")[0]
    assert max(map(len, examples.splitlines())) <= 120  # none lost the backslash and the end of its line
    lines = examples.replace("\\\n", "").splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["python", "python", "accelerate", "python", "python"]


def test_needed_arguments_are_named() -> None:
    assert refused_command(command.main, ["--model", "m"]) == "error: --data: is needed"


def test_compare_prints_like_and_refuses_unlike(folder: Path, capsys: pytest.CaptureFixture) -> None:
    for name, more in (("a", []), ("b", ["--seed", "1"]), ("c", ["--fakes", "45"]), ("d", ["--truncation", "1"])):
        assert call(folder, "--metrics", "class_score", *more, out=f"{name}.json") == 0
    paths = {name: str(folder / f"{name}.json") for name in "abcd"}
    capsys.readouterr()
    assert command.main(["--compare", paths["a"], paths["b"]]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0] == "| file | class_score_identity |"
    assert f"{scores(folder / 'b.json')['class_score_identity']:.6g}" in table[3]
    assert "protocol quick(reduced), 40 generated, 0 real, extractor identity" in table[5]
    for other, what in (("c", "fake_count '40'"), ("d", "truncation 'null'")):
        words = f"class_score_identity has {what} in {paths['a']}"
        refused_command(command.main, ["--compare", paths["a"], paths[other]], words)

    whole = (folder / "a.json").read_text()

    def changed(**fields: object) -> str:
        content = json.loads(whole)
        content["metrics"][0] |= fields
        return json.dumps(content)

    path = folder / "changed.json"
    for key, value in (("protocol", "paper"), ("extractor", "other"), ("extractor_sha256", "0" * 64)):
        path.write_text(changed(**{key: value}))
        refused_command(command.main, ["--compare", paths["a"], path], f"has {key} ")
    stored = json.loads(whole)["metrics"][0]["settings"] | {"std_over": "classes"}  # as of scores within classes
    path.write_text(changed(settings=stored))
    assert command.main(["--compare", paths["a"], str(path)]) == 0
    capsys.readouterr()
    wrong = (
        {"value": None},
        {"value": "2"},
        {"std": "0"},
        {"fake_count": 1.5},
        {"extractor_sha256": 7},
        {"settings": 1},
    )
    texts = [changed(**fields) for fields in wrong]
    texts += [
        json.dumps({**json.loads(whole), "dataset": "mine"}),
        "[]",
        (folder / "data" / "dataset.json").read_text(),
    ]
    for text in texts:
        path.write_text(text)
        line = refused_command(command.main, ["--compare", path])
        assert line == f"error: --compare {path}: not a metrics.json of train.evaluate"
    for text in ("{", "[" * 10**5, whole.replace("{", '{"metrics": [], ', 1)):
        path.write_text(text)
        refused_command(command.main, ["--compare", path], f"--compare {path}: cannot be read as JSON (")


def test_a_changed_data_set_is_noticed(folder: Path, tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data")
    images = np.load(data / "images.npy")
    images[0, 0, 0, 0] ^= 1
    np.save(data / "images.npy", images)
    refused_command(command.main, flags(folder, "--data", data), "the file has changed")


def test_a_classifier_judges_samples_by_their_class(folder: Path, tmp_path: Path) -> None:
    """Classes differ by brightness, which a small network learns at once; real images taken for samples score alike."""
    data, test = write_dataset(tmp_path / "train", count=800), write_dataset(tmp_path / "test", seed=2)
    out = tmp_path / "classifier.safetensors"
    assert classifier_main([*f"--data {data} --test {test} --out {out}".split(), "--width", "4", "--epochs", "6"]) == 0
    loaded = load_classifier(out)
    assert loaded.metadata.test_accuracy > 0.7  # four classes: chance is 0.25
    assert (loaded.metadata.train_count, loaded.metadata.test_count) == (800, 240)
    assert loaded.metadata.test_accuracy == accuracy(loaded.network.eval(), PreparedDataset.open(test))
    assert call(folder, "--metrics", "classifier_accuracy", "--classifier", out) == 0
    row = json.loads((folder / "metrics.json").read_text())["metrics"][0]
    assert row["settings"]["accuracy_on_real_test_images"] == loaded.metadata.test_accuracy
    assert row["extractor_sha256"] == loaded.sha256

    G, labels = tiny_generator().eval(), draw_labels(40, 4, "balanced", 0)
    stream = FakeStream(G, labels, 40, seed=0, part="all")
    with torch.no_grad():
        images = to_uint8(G(stream.latents(0, 40), labels))
        expected = (loaded.network(images).argmax(1) == labels).double().mean()
    assert row["value"] == pytest.approx(float(expected))


def test_files_that_are_no_classifier(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "wrong.safetensors"
    for metadata, word in (
        (None, "does not say what"),
        ("{", "as JSON"),
        ("[" * 10**5, "too deeply"),
        ("{}", "is missing"),
    ):
        save_file({"a": torch.ones(1)}, path, metadata and {"classifier": metadata})
        words = (f"--classifier {path}: not a classifier (", word, "make one with")
        refused_command(command.main, flags(folder, "--classifier", path), *words)


@pytest.mark.slow
def test_one_process_that_cannot_go_on_ends_all(folder: Path) -> None:
    """Classes are dealt out: the broken one is the second process's alone, and the first must not wait for it."""
    G = tiny_generator()
    with torch.no_grad():
        for name, parameter in G.named_parameters():
            if name.endswith("gain") and parameter.ndim == 2:
                parameter[1] = 1e19  # as loading allows; what two layers multiply is not finite
    G.save_pretrained(folder / "broken")
    more = ("--model", folder / "broken", "--no-cache", "--metrics", "diversity", "--device", "cpu")
    done = run([*TWO, "-m", "train.evaluate", *flags(folder, *more, out="broken.json")], status=None)
    assert done.returncode != 0
    assert "error: class 1: the generator makes images that are not finite" in done.stderr
    assert not (folder / "broken.json").exists()


@pytest.mark.slow
def test_two_processes_give_what_one_gives(folder: Path) -> None:
    """Both kinds of sharing: images of one stream, and classes."""
    data, other = PreparedDataset.open(folder / "data"), PreparedDataset.open(write_dataset(folder / "other", seed=2))
    save_classifier(*train_classifier(data, other, epochs=1, width=4), folder / "judge.safetensors")
    within = ["ms_ssim", "diversity"]
    metrics = ["class_score", "frechet", "kernel", "precision_recall", "density_coverage", "authenticity", *within]
    # 41 fakes and 51 reals: shares of unlike size
    more = [
        "--metrics",
        *metrics,
        "--classifier",
        folder / "judge.safetensors",
        "--test",
        folder / "other",
        "--seeds",
        "2",
        "--fakes",
        "41",
        "--reals",
        "51",
        "--no-cache",
    ]
    assert call(folder, *more, out="one.json") == 0
    run([*TWO, "-m", "train.evaluate", *flags(folder, *more, "--device", "cpu", out="two.json")])
    one, two = (json.loads((folder / f"{name}.json").read_text()) for name in ("one", "two"))
    assert two["processes"] == 2
    assert [row["name"] for row in one["metrics"]] == [row["name"] for row in two["metrics"]]
    for ours, theirs in zip(one["metrics"], two["metrics"], strict=True):
        # What a classifier learns grows from rounding, by which batches of another size differ.
        learnt = ours["metric"] == "classification_accuracy_score"
        assert theirs["value"] == pytest.approx(ours["value"], rel=0.1 if learnt else 1e-4), ours["name"]
        for key in ("fake_count", "real_count", "settings"):
            assert theirs[key] == ours[key]
