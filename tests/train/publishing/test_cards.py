"""Cards: parsed by the Hub's own classes, every number backed, every snippet run, nobody's markup let through."""

import html
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import EvalResult, ModelCard

from sngan_cond import Generator, GeneratorConfig
from sngan_cond.hub.cards import plain_card
from sngan_cond.hub.files import PretrainedError
from tests.train.publishing.published_run import CONFIG, METRICS, TRAINING
from train.errors import TrainError
from train.publishing.cards import FOLDER, GENERIC, load_facts, render_card, with_licence

FACTS = sorted(FOLDER.glob("*.yaml"))
NAMED = replace(CONFIG, class_names=("T-shirt/top", "Ankle boot", "Bag"))
ONE = replace(CONFIG, num_classes=1, class_names=("Bag",))
UNCONDITIONAL = replace(CONFIG, num_classes=0, class_names=None)


def card(config: GeneratorConfig = CONFIG, repo: str = "user/name", **changes: Any) -> str:
    given = {"training": TRAINING, "metrics": METRICS, "samples": True, "facts": load_facts(GENERIC), **changes}
    return render_card(config, repo=repo, **given)


@pytest.mark.parametrize("path", FACTS, ids=lambda path: path.stem)
def test_the_hub_reads_what_was_measured(path: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(card(facts=load_facts(path)))
    read = ModelCard.load(tmp_path / "README.md")
    assert (read.data.library_name, read.data.pipeline_tag) == ("sngan-cond", "unconditional-image-generation")
    assert {"gan", "class-conditional"} <= set(read.data.tags or [])
    results = read.data.eval_results
    assert results is not None
    assert all(isinstance(result, EvalResult) for result in results)
    assert [result.metric_value for result in results] == [12.34, 0.875]
    first = {key: value for key, value in METRICS["metrics"][0].items() if key not in ("name", "value")}
    assert results[0].metric_args == first
    assert results[0].metric_name == "frechet_toy (quick, toy)"
    assert ModelCard(str(read)).data.to_dict() == read.data.to_dict()


def test_a_spread_is_named_for_what_it_is_over_and_cautions_are_told() -> None:
    """Rows stored earlier say neither."""
    first, second = METRICS["metrics"]
    said = {**first, "std_over": "3 sample sets", "remark": "64 images *are* fewer than the 1,280 features"}
    plain = plain_card(CONFIG, name="user/name", parameters=1, metrics={"metrics": [said, second]})
    for text in (card(metrics={"metrics": [said, second]}), plain):
        assert "| 12.34 | 0.05 over 3 sample sets | quick |" in text
        assert "| 0.875 |  | quick |" in text
        assert "frechet\\_toy: 64 images \\*are\\* fewer than the 1,280 features\n" in text
    assert "| 12.34 | 0.05 | quick |" in card()


def test_the_bundled_model_names_data_and_licence() -> None:
    data = ModelCard(card(facts=load_facts(FOLDER / "fashion-mnist-32.yaml"))).data
    assert (data.license, data.datasets) == ("mit", ["zalando-datasets/fashion_mnist"])
    for result in data.eval_results or []:
        assert result.dataset_type == "zalando-datasets/fashion_mnist"
        assert result.dataset_name.startswith("Fashion-MNIST by Zalando Research")


def test_a_run_that_started_from_a_repo_names_it() -> None:
    start = {
        "source": "alice/old@v1",
        "repo": "alice/old",
        "commit": "ab" * 20,
        "sha256": {"model.safetensors": "cd" * 32},
    }
    named = ModelCard(card(training={**TRAINING, "init_from": start}))
    assert named.data.base_model == "alice/old"
    assert f"| init_from.commit | {'ab' * 20} |" in html.unescape(named.text).replace("\\", "")
    linked = "started from the weights of\n[alice/old](https://huggingface.co/alice/old), commit `abab"
    assert linked in named.text
    for other in ("a/b/c", None):  # the Hub refuses a card whose base model is no repo
        folder = ModelCard(card(training={**TRAINING, "init_from": {**start, "source": "*mine*", "repo": other}}))
        assert folder.data.base_model is None
        assert "started from the weights of\nanother model, \\*mine\\*, commit" in folder.text
    assert "started from" not in card()


def test_the_licence_is_the_facts_or_the_given_one_or_the_run_s() -> None:
    facts = load_facts(GENERIC)
    licensed: dict[str, Any] = json.loads(json.dumps(TRAINING))
    licensed["config"]["hub"] = {"license": "apache-2.0", "repo": None}
    assert ModelCard(card()).data.license is None
    assert ModelCard(card(training=licensed)).data.license == "apache-2.0"
    text = card(training=licensed, facts=with_licence(facts, "openrail++"))
    assert ModelCard(text).data.license == "openrail++"
    assert text.endswith("## License\n\nThe weights are released under the licence openrail++.\n")
    text = card(facts=with_licence(facts, "other", name="Mine *own*", link="https://example.org/a"))
    data = ModelCard(text).data
    assert (data.license, data.license_name, data.license_link) == ("other", "Mine *own*", "https://example.org/a")
    assert "the licence Mine \\*own\\*. [Its text](https://example.org/a)." in text


def test_samples_are_addressed_on_the_hub_and_beside_the_card_of_a_folder() -> None:
    shown = "![Samples, one row a class]({})"
    for repo, address in (
        ("user/name", "https://huggingface.co/user/name/resolve/main/samples.png"),
        ("user/name@v1/x", "https://huggingface.co/user/name/resolve/v1%2Fx/samples.png"),
        ("bundled", "samples.png"),
    ):
        text = card(repo=repo)
        assert shown.format(address) in text
        assert f"from_pretrained({repo!r})" in text
        assert ModelCard(text).data.model_name == repo.partition("@")[0].rpartition("/")[2]


def numbers(text: str) -> set[float]:
    """Find every number of a text, as a value."""
    found = re.findall(r"(?<![\w.])[+-]?\d[\d_]*(?:\.\d+)*(?:e[+-]?\d+)?(?![\w])", text)
    return {float(number) if number.count(".") < 2 else math.nan for number in found} - {math.nan}


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for item in value.items() for part in item for leaf in leaves(part)]
    return [leaf for part in value for leaf in leaves(part)] if isinstance(value, list) else [value]


@pytest.mark.parametrize("path", FACTS, ids=lambda path: path.stem)
def test_every_number_is_found_in_the_run(path: Path) -> None:
    facts = load_facts(path)
    text = card(facts=facts)
    prose = re.sub(r"```python.*?```|\]\([^)]*\)", "", html.unescape(text), flags=re.DOTALL)
    known = {value for leaf in leaves([METRICS, TRAINING, CONFIG.to_dict()]) for value in numbers(str(leaf))}
    names = f"{facts.title} {facts.data.name} {facts.data.id} {facts.tags} {facts.data.url}"  # "CIFAR-10" is a name
    found = numbers(prose)
    assert found <= known | numbers(names), found - known
    assert {12.34, 0.05, 0.875, 200, 400, 17, 5000, 320000, 123.5, 0.99} <= found
    told = re.sub(r"CIFAR-10|cifar10", "", path.read_text().replace(path.stem, ""))
    assert not numbers(told), "facts carry no numbers"


def test_another_number_in_the_run_is_another_in_the_card() -> None:
    other = json.loads(json.dumps(METRICS))
    other["metrics"][0]["value"] = 98.76
    assert "98.76" in card(metrics=other)
    assert "12.34" not in card(metrics=other)
    assert "beyond 0.71 standard" in card(metrics={**METRICS, "truncation": 0.71})
    assert "standard deviations" not in card()


@pytest.mark.parametrize(
    ("config", "examples"),
    [(CONFIG, "[0, 1], "), (NAMED, "['T-shirt/top', 'Ankle boot'], "), (ONE, "['Bag'], "), (UNCONDITIONAL, "n=4, ")],
    ids=["classes", "names", "one", "none"],
)
def test_the_snippets_of_both_cards_run(
    config: GeneratorConfig, examples: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Generator(config).save_pretrained(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    cards = [card(config, repo="model"), (tmp_path / "model/README.md").read_text()]
    snippets = [re.findall(r"```python\n(.*?)```", text, re.DOTALL) for text in cards]
    assert [len(found) for found in snippets] == [3, 1]
    for text in cards:
        assert "```sh\npip install .  " in text
        assert f"sample(G, {examples}seed=0)" in text
    for snippet in (*snippets[0], *snippets[1]):
        scope: dict[str, Any] = {}
        exec(snippet, scope)
        assert scope["G"].config == config
    pictures = {path.name for path in tmp_path.glob("*.png")}
    assert pictures == ({"grid.png", "morph.png", "mixture.png"} if config.num_classes > 1 else {"grid.png"})


def test_markup_in_names_is_shown_and_not_obeyed() -> None:
    text = card()
    assert "<b>" not in text
    assert "&lt;b&gt;bag&lt;/b&gt;, ankle \\| boot, \\`c\\`\\[x\\]\\(http:&#47;&#47;y\\)" in text
    assert "a \\*fast\\* machine" in text
    fence = json.loads(json.dumps(TRAINING))
    fence["config"]["data"] = {"path": "a\n```\n<script>"}
    assert "````yaml" in card(training=fence)


def test_a_run_without_evaluation_or_facts_says_so() -> None:
    text = card(metrics=None, training=None, samples=False)
    for words in ("has not been evaluated", "Nothing was recorded", "No samples are published"):
        assert words in text
    assert ModelCard(text).data.eval_results is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("title:", "titel:"), "field 'title' is missing"),
        (("limits:", "limits: []\nmore:"), "limits is []; allowed is a list of at least 1"),
        (("https://github.com", "javascript:alert(1)//"), "data.url"),
        (("title:", "title: ["), "cannot be read as YAML"),
    ],
)
def test_facts_are_read_strictly(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    (tmp_path / "facts.yaml").write_text((FOLDER / "fashion-mnist-32.yaml").read_text().replace(*change, 1))
    with pytest.raises(TrainError, match=r"facts\.yaml") as error:
        load_facts(tmp_path / "facts.yaml")
    assert words in str(error.value)


def test_metrics_and_records_that_are_none_are_refused() -> None:
    with pytest.raises(PretrainedError, match="a list of objects"):
        card(metrics={"fid": 3})
    with pytest.raises(TrainError, match=r"^training\.json: config is 3; allowed is an object$"):
        card(training={"step": 1, "config": 3})
