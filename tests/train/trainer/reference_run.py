"""A training run written a second time, from the papers and the names that draws have, to compare `train` with.

Plain formulas and loops over plain numbers; nothing of `train` is imported. Of the library it takes the networks and
what a constraint attaches to them, which the official numbers and other sources hold elsewhere.
"""

import copy
import hashlib
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sngan_cond import (
    ConstraintConfig,
    Discriminator,
    DiscriminatorConfig,
    Generator,
    GeneratorConfig,
    build_constraint,
)

Settings = dict[str, Any]  # as in a preset's YAML, with every value that the run depends on
GAMES: dict[str, tuple[Callable[[Tensor, Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]] = {  # of D, of G
    "hinge": (lambda r, f, _: (1 - r).clamp(min=0).mean() + (1 + f).clamp(min=0).mean(), lambda f: -f.mean()),
    "non_saturating": (lambda r, f, _: -(F.logsigmoid(r) + F.logsigmoid(-f)).mean(), lambda f: -F.logsigmoid(f).mean()),
    "wasserstein": (lambda r, f, _: f.mean() - r.mean(), lambda f: -f.mean()),
    "began": (lambda r, f, k: -r.mean() + k * f.mean(), lambda f: -f.mean()),  # scores are minus the errors
}


class ReferenceRun:
    """G, D, Adam of both, and the average of G; every process has a replica of both networks.

    Args:
        settings: what a preset of the run resolves to, as far as it differs from the defaults or is read here.
        data: prepared data set.
        world: number of processes.
    """

    def __init__(self, settings: Settings, data: Path, *, world: int = 1) -> None:
        self.c, self.world = settings, world
        self.images, self.labels = (torch.from_numpy(np.load(data / f"{name}.npy")) for name in ("images", "labels"))
        self.trained = sorted(set(range(len(self.images))) - self._kept_from_training())
        shared = {key: settings[key] for key in ("resolution", "num_classes", "architecture")}
        torch.manual_seed(seed(settings["seed"], "initialisation"))
        G = Generator(GeneratorConfig(**{**shared, **settings["generator"]}))
        D = Discriminator(DiscriminatorConfig(**{**shared, **settings["discriminator"]}))
        for network, held in ((D, "constraint"), (G, "constraint_g")):
            build_constraint(ConstraintConfig(**settings[held])).attach(network)
        self.average = copy.deepcopy(G).eval()
        self.replicas = [(copy.deepcopy(G), copy.deepcopy(D)) for _ in range(world)]
        self.adam = Adam(G, **settings["optim_g"]), Adam(D, **settings["optim_d"])
        self.balance, self.strength = torch.zeros(()), torch.zeros(())
        self.averages = {"real": torch.zeros(()), "fake": torch.zeros(())}
        self.logged: dict[str, float] = {}

    def step(self, step: int) -> None:
        """Take one G update and then n_dis D updates, each on images of its own; steps count from 0."""
        c, n_dis = self.c, self.c["d_updates_per_step"]
        rate = 1.0 if c["decay_from"] is None else min(1.0, (c["steps"] - step) / (c["steps"] - c["decay_from"]))
        self._descend(
            0,
            rate,
            [
                self._g_loss(*batch)
                for batch in self._micro_batches(*self.fakes("g", step), self.augmentation("g", step))
            ],
        )
        for update in range(step * n_dis, (step + 1) * n_dis):
            e = [source(c["seed"], "penalty", update, rank) for rank in range(self.world)]
            shown = (self.augmentation(f"d/{whose}", update) for whose in ("real", "fake"))
            batches = self._micro_batches(*self.reals(update), *self.fakes("d", update), *shown)
            self._descend(1, rate, [self._d_loss(rank, e[rank], *batch) for rank, *batch in batches])
        decay = c["ema"]["decay"] if step >= c["ema"]["start"] else 0.0
        for name, average in self.average.state_dict().items():
            value = self.replicas[0][0].state_dict()[name]
            average.copy_(decay * average + (1 - decay) * value if name in self.adam[0].m else value)
        self.logged |= {"lr_g": c["optim_g"]["lr"] * rate, "lr_d": c["optim_d"]["lr"] * rate}

    def _g_loss(self, rank: int, z: Tensor, y: Tensor | None, u: Tensor | None) -> dict[str, Tensor]:
        G, D = self.replicas[rank]
        score, logits = D(self._shown(G(z, y), u), y)
        loss = GAMES[self.c["loss"]["kind"]][1](score)
        return self._sum({"loss": loss, "score_fake": score.mean()}, logits, y, "classification_g")

    def _d_loss(
        self,
        rank: int,
        e: torch.Generator,
        x: Tensor,
        y: Tensor | None,
        z: Tensor,
        y_fake: Tensor | None,
        u: Tensor | None,
        u_fake: Tensor | None,
    ) -> dict[str, Tensor]:
        G, D = self.replicas[rank]
        x, fake = self._shown(x, u), self._shown(G(z, y_fake).detach(), u_fake)
        (real_score, logits), (score, _) = D(x, y), D(fake, y_fake)
        loss = GAMES[self.c["loss"]["kind"]][0](real_score, score, self.balance)
        parts = {"loss": loss, "score_real": real_score.mean(), "score_fake": score.mean()}
        scores = torch.cat([real_score, score])
        parts["score_spread"] = (scores - scores.mean()).square().mean().sqrt()
        if weight := self.c["constraint"].get("gradient_penalty"):
            share = torch.rand(len(x), 1, 1, 1, generator=e)
            between = (share * x + (1 - share) * fake).requires_grad_()
            (slope,) = torch.autograd.grad(D(between, y).score.sum(), between, create_graph=True)
            parts["penalty"] = weight * ((slope.square().sum(dim=(1, 2, 3)).sqrt() - 1) ** 2).mean()
        if self.c["augment"].get("policy"):
            parts |= {"strength": self.strength, "sign_real": real_score.sign().mean()}
        if self.c["loss"].get("lecam"):
            beyond = (real_score - self.averages["fake"]).clamp(min=0), (self.averages["real"] - score).clamp(min=0)
            parts["lecam"] = sum((side**2).mean() for side in beyond)
        return self._sum(parts, logits, y, "classification_d")

    def _sum(self, parts: dict[str, Tensor], logits: Tensor | None, y: Tensor | None, weight: str) -> dict[str, Tensor]:
        total = parts["loss"] + parts.get("penalty", 0) + self.c["loss"].get("lecam", 0) * parts.get("lecam", 0)
        if logits is not None:
            parts["classification"] = -logits.log_softmax(1)[range(len(y)), y].mean()
            total = total + self.c["loss"][weight] * parts["classification"]
        return {**parts, "total": total}

    def _descend(self, which: int, rate: float, losses: list[dict[str, Tensor]]) -> None:
        """One update of G (0) or D (1), along the mean of what all micro-batches of all processes lose."""
        mean = {name: torch.stack([parts[name] for parts in losses]).mean() for name in losses[0]}
        networks = [replica[which] for replica in self.replicas]
        gradients = torch.autograd.grad(mean["total"], [p for network in networks for p in network.parameters()])
        count = len(gradients) // self.world
        summed = [sum(gradients[i::count]) for i in range(count)]  # replicas hold the same parameters in the same order
        self.adam[which].step(networks[0], summed, rate)
        if which == 1 and (limit := self.c["constraint"].get("weight_clip")):
            for layer in networks[0].modules():
                if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
                    layer.weight.data.clamp_(-limit, limit)
        for network in networks[1:]:
            for own, first in zip(network.parameters(), networks[0].parameters(), strict=True):
                own.data.copy_(first.data)
        if which == 1 and (game := self.c["loss"])["kind"] == "began":
            moved = game["diversity"] * -mean["score_real"] + mean["score_fake"]
            self.balance = (self.balance + game["balance_rate"] * moved.detach()).clamp(0, 1)
        if which == 1 and (decay := game.get("lecam_decay")):
            self.averages = {
                side: decay * value + (1 - decay) * mean[f"score_{side}"].detach()
                for side, value in self.averages.items()
            }
        if which == 1 and (asked := self.c["augment"]).get("policy"):
            up = self.c["batch_total"] / asked["adaptation_images"]
            more = bool(mean["sign_real"] > asked["target"])
            self.strength = torch.tensor(min(1.0, max(0.0, float(self.strength) + (up if more else -up))))
        mean["gradient_norm"] = sum(gradient.square().sum() for gradient in summed).sqrt()
        self.logged |= {f"{'gd'[which]}/{name}": float(value.detach()) for name, value in mean.items()}

    def fakes(self, purpose: str, update: int) -> tuple[Tensor, Tensor | None]:
        c, total = self.c, self.c["fakes_per_step" if purpose == "g" else "batch_total"]
        draw = torch.randn if c["generator"]["latent"] == "normal" else lambda *s, **o: 2 * torch.rand(*s, **o) - 1
        z = draw(total, c["generator"]["latent_dim"], generator=source(c["seed"], f"{purpose}/latents", update))
        if not c["num_classes"]:
            return z, None
        draw = source(c["seed"], f"{purpose}/labels", update)
        if c["data"].get("fake_labels") != "data":
            return z, torch.randint(c["num_classes"], (total,), generator=draw)
        ends = self.labels.bincount().cumsum(0) / len(self.labels)
        return z, (torch.rand(total, generator=draw, dtype=torch.float32)[:, None] >= ends.float()).sum(1)

    def reals(self, update: int) -> tuple[Tensor, Tensor | None]:
        """The next images of endless shuffles, flipped by a coin, with noise below the step of 8 bits."""
        c, total = self.c, self.c["batch_total"]
        shown = self._balanced if c["data"].get("balance") == "classes" else self._shuffled
        rows = [shown(i) for i in range(update * total, (update + 1) * total)]
        x = self.images[rows].float()  # (N, R, R, 3)
        if c["data"]["flip"]:
            coins = torch.rand(total, generator=source(c["seed"], "flip", update))
            x = torch.stack([image.flip(1) if coin < 0.5 else image for image, coin in zip(x, coins, strict=True)])
        noise = torch.rand(x.shape, generator=source(c["seed"], "dequantise", update)) / 128
        y = self.labels[rows] if c["num_classes"] else None
        x = x / 128 - 1 + noise if c["data"].get("dequantise", True) else x / 255 * 2 - 1
        return x.permute(0, 3, 1, 2), y

    def augmentation(self, purpose: str, update: int) -> Tensor | None:
        total = self.c["fakes_per_step" if purpose == "g" else "batch_total"]
        if not self.c["augment"].get("policy"):
            return None
        return torch.rand(total, 12, generator=source(self.c["seed"], f"{purpose}/augmentation", update))

    def _shown(self, x: Tensor, u: Tensor | None) -> Tensor:
        """Images as D sees them, one by one: brightness, saturation, contrast, translation, cutout."""
        if u is None:
            return x
        shown, side, p = [], x.shape[-1], float(self.strength)
        for image, own in zip(x, u.tolist(), strict=True):
            does, (brightness, saturation, contrast, down, right, top, left) = [v < p for v in own[:5]], own[5:]
            if does[0]:
                image = image + (brightness - 0.5)
            if does[1]:
                grey = image.mean(dim=0)
                image = grey + 2 * saturation * (image - grey)
            if does[2]:
                image = image.mean() + (0.5 + contrast) * (image - image.mean())
            if does[3]:
                far = side // 8
                dy, dx = (int(v * (2 * far + 1)) - far for v in (down, right))
                image = F.pad(image, (far, far, far, far))[:, far - dy : far - dy + side, far - dx : far - dx + side]
            if does[4]:
                y, x_ = (int(v * (side + 1)) for v in (top, left))
                keep = torch.ones(side, side)
                keep[max(0, y - side // 4) : y + side // 4, max(0, x_ - side // 4) : x_ + side // 4] = 0
                image = image * keep
            shown.append(image)
        return torch.stack(shown)

    def _micro_batches(self, *tensors: Tensor | None) -> Iterator[tuple[Any, ...]]:
        """Deal a batch to the processes, and each process' share to its micro-batches, in order."""
        for rank in range(self.world):
            for k in range(self.c["accumulate"]):
                own = [None if t is None else t.chunk(self.world)[rank].chunk(self.c["accumulate"])[k] for t in tensors]
                yield rank, *own

    def _shuffled(self, position: int) -> int:
        epoch, i = divmod(position, len(self.trained))
        return self.trained[torch.randperm(len(self.trained), generator=source(self.c["seed"], "shuffle", epoch))[i]]

    def _balanced(self, position: int) -> int:
        """A round shows all classes in an order of its own, and each class its images in an order a pass."""
        classes, images = self.c["num_classes"], len(self.trained)
        turn, place = divmod(position, classes)
        epoch, row = divmod(turn, rounds := math.ceil(images / classes))
        numbers = source(self.c["seed"], "balance", epoch)
        label = torch.rand(rounds, classes, generator=numbers, dtype=torch.float64)[row].argsort()[place]
        own = [i for i in self.trained if self.labels[i] == label]
        at_once = max(rounds // len(own), 1)
        block, rest = divmod(turn, at_once * len(own))
        numbers = source(self.c["seed"], "balance", "class", int(label), block)
        orders = torch.rand(at_once, len(own), generator=numbers, dtype=torch.float64)
        return own[orders[rest // len(own)].argsort()[rest % len(own)]]

    def _kept_from_training(self) -> set[int]:
        """Of each class a fraction, rounded, but at least one image and not all."""
        if not (fraction := self.c["data"].get("held_out")):
            return set()
        kept = set()
        for label in range(int(self.labels.max()) + 1):
            own = [i for i, of in enumerate(self.labels.tolist()) if of == label]
            count = min(max(round(fraction * len(own)), 1), len(own) - 1)
            kept |= {
                own[i] for i in torch.randperm(len(own), generator=source(self.c["seed"], "held-out", label))[:count]
            }
        return kept


class Adam:
    """Kingma and Ba 2015, Algorithm 1."""

    def __init__(self, network: nn.Module, lr: float, beta1: float, beta2: float, eps: float) -> None:
        self.lr, self.beta1, self.beta2, self.eps, self.t = lr, beta1, beta2, eps, 0
        self.m = {name: torch.zeros_like(parameter) for name, parameter in network.named_parameters()}
        self.v = {name: torch.zeros_like(parameter) for name, parameter in network.named_parameters()}

    @torch.no_grad()
    def step(self, network: nn.Module, gradients: list[Any], rate: float) -> None:
        """Move the parameters once; `rate` is the factor on lr."""
        self.t += 1
        for (name, parameter), g in zip(network.named_parameters(), gradients, strict=True):
            self.m[name] = self.beta1 * self.m[name] + (1 - self.beta1) * g
            self.v[name] = self.beta2 * self.v[name] + (1 - self.beta2) * g**2
            m, v = self.m[name] / (1 - self.beta1**self.t), self.v[name] / (1 - self.beta2**self.t)
            parameter -= self.lr * rate * m / (v.sqrt() + self.eps)


def seed(*parts: int | str) -> int:
    """63 bits of the hash of what a draw is called."""
    return int(hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).hexdigest(), 16) // 2


def source(*parts: int | str) -> torch.Generator:
    """Random numbers of one draw."""
    return torch.Generator().manual_seed(seed(*parts))
