"""What happens while the app is calling: releases are published, rolled out, rolled back, retired, discarded."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from bench.rollout.commands import Commands
from bench.rollout.contract import Asked, Author, promises, tag
from bench.rollout.fleet import Fleet
from bench.rollout.instance import Deployment
from bench.rollout.server import Server
from procver import Resolver

GROUPS = (("web-1", "web-2"), ("web-3", "web-4"))
"""The instances of two server groups, of which one may lag behind the other."""

POLICIES = (
    'keep_releases = 0\ngrace = "0s"\n',
    'keep_releases = 0\ngrace = "0s"\n',
    'keep_releases = 1\ngrace = "0s"\n',
    'keep_releases = 0\ngrace = "1s"\n',
    'keep_releases = 0\ngrace = "0s"\nquarantine = "1s"\n',
)

IDLE = 12
"""Seconds of silence after which an instance is taken for dead: many times the heartbeats' interval."""

CONFIG = """\
[project]
name = "rollout"
dialect = "{dialect}"
sources = ["sql"]
default_schema = "app"

{more}
[gc]
idle = "{idle}s"
{policy}"""


class Published(NamedTuple):
    """A release as the app gets to know it."""

    promises: list[Asked]
    mapping: Path
    origin: str
    origin_tag: str
    steady: str


class Story:
    """The releases' lives.

    Args:
        server: the database.
        commands: procver.
        fleet: the app.
        dice: decides what happens.
        kills: whether publications are killed on purpose, and heartbeats lost.
        heartbeats: whether the app sends them.
        followers: the instances that follow a channel; they send no heartbeats.

    Attributes:
        done: how often each thing was done.
        wrong: what should not have happened, other than calls.
    """

    def __init__(
        self, server: Server, commands: Commands, fleet: Fleet, dice: random.Random, *, kills: bool,
        heartbeats: bool, followers: frozenset[str],
    ) -> None:  # fmt: skip
        self.server, self.commands, self.fleet, self.dice = server, commands, fleet, dice
        self.kills, self.heartbeats, self.followers = kills, heartbeats, followers
        self.author = Author(server.sources, dice)
        self.published: dict[str, Published] = {}
        self.live: set[str] = set()
        self.early: set[str] = set()
        self.silent: set[str] = set()
        self.held: dict[str, str] = {}
        self.newest = ""
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []
        (commands.root / "sql").mkdir(parents=True)
        (commands.root / "maps").mkdir()
        self.policy(0)

    def policy(self, index: int) -> None:
        """Choose what gc goes by."""
        text = CONFIG.format(
            dialect=self.server.dialect,
            more=self.server.config(),
            idle=IDLE,
            policy=POLICIES[index],
        )
        part = self.commands.root / "procver.toml.part"
        part.write_text(text, "utf-8")
        part.replace(self.commands.root / "procver.toml")

    # One chapter

    def release(self, name: str) -> None:
        """Let the next release come, and what else happens meanwhile."""
        dice = self.dice
        if self.newest:
            if dice.random() < 0.12:
                self.trial(f"{name}-trial")
            self.author.edit()
        self.publish(name)
        first, self.newest = not self.newest, name
        if first:
            self.server.admit()
        self.silence()
        self.roll_out(name, everywhere=first)
        if not first:
            self.meddle()
            if dice.random() < 0.4:
                self.roll_back()
            self.retire()
        if len(self.published) % 5 == 0:
            self.policy(dice.randrange(len(POLICIES)))
            self.verify()

    def publish(self, name: str) -> None:
        """Publish the sources as they are now."""
        for stem, text in self.author.files():
            path = self.commands.root / "sql" / f"{stem}.sql"
            if text is None:
                path.unlink(missing_ok=True)
            else:
                path.write_text(text, "utf-8")
        kill = self.dice.uniform(0.05, 1.0) if self.kills and self.dice.random() < 0.5 else None
        self.commands.run("publish", "--release", name, kill_after=kill)
        self.done["published"] += 1
        mapping = self.commands.root / "maps" / f"{name}.json"
        shutil.copy(self.commands.root / "procver.map.json", mapping)
        procs, contents = Resolver.load(mapping), self.author.contents
        self.published[name] = Published(
            promises(contents, self.server.sources, self.server.questions), mapping,
            procs["origin"], tag("origin", contents, self.server.sources), procs["steady"],
        )  # fmt: skip

    def trial(self, name: str) -> None:
        """Publish something that is never deployed, and take it back."""
        before = dict(self.author.contents)
        self.author.edit()
        self.publish(name)
        del self.published[name]
        self.author.contents = before
        # Run again after it was done, it finds no such release any more: exit code 2.
        self.commands.run("release", "discard", name, allowed=(0, 2))
        self.done["discarded"] += 1

    # Deployments

    def roll_out(self, name: str, *, everywhere: bool) -> None:
        """Deploy a release, one instance after the other; a group may stay behind, and all may have to go back at first."""
        groups = list(GROUPS)
        self.dice.shuffle(groups)
        if not everywhere and self.dice.random() < 0.25:
            groups.pop()
        todo = [instance for group in groups for instance in group]
        before = dict(self.fleet.on)
        if not everywhere and self.dice.random() < 0.2:
            moved = todo[: self.dice.randint(1, len(todo))]
            for instance in moved:
                self.move(instance, name)
            for instance in moved:
                self.move(instance, before[instance])
                self.done["moved back"] += 1
        for instance in todo:
            self.maybe_retire_early(before.get(instance, ""))
            self.move(instance, name)

    def move(self, instance: str, name: str) -> None:
        """Deploy a release on one instance: tell procver, then replace the app."""
        release = self.published[name]
        self.live.add(name)
        self.early.discard(name)
        if instance in self.followers:
            channel = f"of {instance}"
            deployment = Deployment(name, release.promises, channel=channel)
            self.fleet.learn(instance, deployment)
            self.commands.run("release", "channel", channel, name, "--restore")
            self.done["channels switched"] += 1
            self.fleet.deploy(instance, deployment, beats=False)
            return
        self.commands.run("release", "activate", name, "--instance", instance, "--restore")
        self.done["activated"] += 1
        mapping = str(release.mapping) if instance in GROUPS[0] else None
        beats = self.heartbeats and instance not in self.silent
        deployment = Deployment(name, release.promises, mapping)
        self.fleet.deploy(instance, deployment, beats=beats)

    def roll_back(self) -> None:
        """Deploy an earlier release on some instances, collected or not."""
        earlier = [name for name in list(self.published)[-9:] if name != self.newest]
        name = self.dice.choice(earlier)
        group = self.dice.choice(GROUPS)
        for instance in group[: self.dice.randint(1, 2)]:
            if self.fleet.on[instance] != name:
                self.move(instance, name)
                self.done["rolled back"] += 1

    def maybe_retire_early(self, name: str) -> None:
        """Retire a release on which there are instances still: their heartbeats keep it."""
        here = [i for i, on in self.fleet.on.items() if on == name]
        unheard = (self.silent | self.followers).intersection(here)
        if name not in self.live or name == self.newest or not self.heartbeats or unheard:
            return
        if self.dice.random() > 0.2:
            return
        said = self.commands.run("release", "retire", name)
        if said["state"] != "live" or not set(here) <= set(said["kept_by"]):
            self.wrong.append(f"release {name} was retired under {', '.join(here)}: {said}")
        self.live.discard(name)
        self.early.add(name)
        self.done["retired early"] += 1

    def retire(self) -> None:
        """Retire what no instance runs any more; sometimes later."""
        used = set(self.fleet.on.values())
        for name in sorted(self.live - used - {self.newest}):
            if self.dice.random() < 0.85:
                self.commands.run("release", "retire", name)
                self.live.discard(name)
                self.done["retired"] += 1

    # What goes on beside

    def silence(self) -> None:
        """Let an instance fall silent while it goes on calling, or be heard again."""
        if not (self.kills and self.heartbeats):
            return
        for instance in sorted(self.silent):
            if self.dice.random() < 0.35:
                self.fleet.beat(instance, True)
                self.silent.discard(instance)
        # A release that was retired is kept by heartbeats alone.
        able = [i for i in self.fleet.names if i in self.fleet.on and self.fleet.on[i] in self.live]
        able = [i for i in able if i not in self.silent | self.followers]
        if able and len(self.silent) < 2 and self.dice.random() < 0.4:
            instance = self.dice.choice(able)
            self.fleet.beat(instance, False)
            self.silent.add(instance)
            self.done["heartbeats lost"] += 1

    def meddle(self) -> None:
        """Make an object by hand on top of a version, or take one away again; and restore a version that nobody needs."""
        for name in list(self.held):
            if self.dice.random() < 0.5:
                self.let_go(name)
        if len(self.held) < 2 and self.dice.random() < 0.3:
            release = self.dice.choice(sorted(set(self.fleet.on.values())))
            name = f"app.by_hand_{self.done['held'] + 1}"
            self.server.hold(name, self.published[release].origin)
            self.held[name] = self.published[release].origin_tag
            self.done["held"] += 1
        if self.dice.random() < 0.2:
            release = self.dice.choice(list(self.published))
            self.commands.run("restore", self.published[release].origin)
            self.done["restored by name"] += 1

    def let_go(self, name: str) -> None:
        """Take an object made by hand away; it must have answered as ever."""
        expected, answer = self.held.pop(name), self.server.let_go(name)
        if answer != expected:
            self.wrong.append(f"{name}, made by hand, answers {answer}, not {expected}")

    def verify(self, *, wholly: bool = False) -> None:
        """Nothing may have drifted; ``wholly``: nor may instances contradict what was declared."""
        code, output, errors = 0, "", ""
        for _ in range(40):
            code, output, errors = self.commands.once("verify")
            if not (self.kills and code in (3, -9)):
                break
        if code not in (0, 1):
            self.wrong.append(f"verify: exit code {code}: {(output or errors).strip()}")
            return
        for found in json.loads(output)["findings"]:
            if wholly or not found["rule"].startswith("instance-"):
                self.wrong.append(f"verify: {found['rule']} {found['object']}: {found['message']}")

    # The end

    def settle(self) -> None:
        """Bring all instances to the newest release, and retire the others."""
        self.policy(0)
        for instance in sorted(self.silent):
            self.fleet.beat(instance, True)
        self.silent.clear()
        for name in list(self.held):
            self.let_go(name)
        for instance in self.fleet.names:
            if self.fleet.on[instance] != self.newest:
                self.move(instance, self.newest)
        for name in sorted(self.live - {self.newest}):
            self.commands.run("release", "retire", name)
            self.live.discard(name)

    @property
    def wanted(self) -> set[str]:
        """The physical names of the newest release, in lower case, as Babelfish has them."""
        return {n.lower() for n in Resolver.load(self.published[self.newest].mapping).values()}

    def recorded(self) -> set[str]:
        """Return the physical names of all versions that the registry has for existing."""
        rows = self.server.rows("SELECT physical FROM procver.version WHERE state <> 'dropped'")
        return {str(physical).lower() for (physical,) in rows}

    def leftovers(self) -> list[str]:
        """Return what gc still has to do: an instance that fell silent is believed for `IDLE` seconds."""
        return sorted(self.recorded() - self.wanted)

    def look(self) -> None:
        """Is there what the newest release needs, and nothing else?"""
        self.verify(wholly=True)
        again = self.commands.run("publish", "--release", self.newest)
        if again["create"]:
            self.wrong.append(f"publishing {self.newest} again creates {again['create']}")
        wanted, recorded = self.wanted, self.recorded()
        there = {name.lower() for name in self.server.objects()} - {"app.by_hand_0"}
        if there != wanted:
            self.wrong.append(f"in the schema, against the release: {sorted(there ^ wanted)}")
        if recorded != wanted:
            self.wrong.append(f"in the registry, against the release: {sorted(recorded ^ wanted)}")
