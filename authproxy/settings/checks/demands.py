"""PURE: checks of what portals and their routes demand of people: sign-in method, level, step-up, idle time.

A demand that nobody can ever meet is an error. One that only some people can meet is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from authproxy.identity.assurance import STEP_UP_METHODS, Level, SignInMethod, StepUpMethod
from authproxy.settings.checks import route_access
from authproxy.settings.checks.proofs_at_provider import provider_never_counts
from authproxy.settings.findings import KeyPath, Remark
from authproxy.settings.schema import PortalSettings, RouteSettings, StepUpDemandSettings
from authproxy.settings.validation import Sections


def remarks(path: KeyPath, portal: PortalSettings, sections: Sections) -> Iterator[Remark]:
    """Remarks about the demands of one portal and of its routes."""
    yield from _sign_in(path, portal, sections)
    yield from _step_up(
        (*path, "step_up"), portal.step_up, _levels(portal.sign_in, portal.level, sections), sections
    )
    yield from _certificate_level((*path, "step_up", "methods"), portal.step_up, portal.level, sections)
    if _is_per_request(portal.step_up):
        problem = "demands a proof of its own for every page, picture and script that no route covers"
        yield Remark(
            path=(*path, "step_up", "max_age"),
            problem=problem,
            read="0s",
            valid="`max_age: 0` on a route",
            severity="warning",
        )
    for at, route in enumerate(portal.routes):
        yield from _route((*path, "routes", at), route, portal, sections)
    if portal.members == "register" and sections.store and sections.store.url == "memory://":
        problem = "lets nobody in: a store in this process takes no register of people"
        yield Remark(
            path=(*path, "members"),
            problem=problem,
            read=portal.members,
            valid="`store.url` of a Redis",
            severity="warning",
        )
    if portal.idle is None:
        return
    if not portal.idle:
        yield Remark(
            path=(*path, "idle"), problem="is nothing at all: every session would be over at once", read="0s"
        )
    if sections.sessions and portal.idle > sections.sessions.absolute:
        yield Remark(
            path=(*path, "idle"), problem="is longer than `sessions.absolute`, which ends the session anyway"
        )


def _sign_in(path: KeyPath, portal: PortalSettings, sections: Sections) -> Iterator[Remark]:
    if sections.acnlb is None:
        if "acnlb" in (portal.sign_in or ()) and "acnlb" not in sections.faulty:
            problem = (
                "names `acnlb`, but there is no section `acnlb` that says where and whose certificates are "
                "accepted"
            )
            yield Remark(path=(*path, "sign_in"), problem=problem, read=", ".join(portal.sign_in or ()))
        return
    if "acnlb" in (portal.sign_in or ("acnlb",)) and portal.level > sections.acnlb.level:
        problem = (
            f"is more than a certificate gives (`acnlb.level` is {int(sections.acnlb.level)}): nobody would "
            "come in with one"
        )
        yield Remark(path=(*path, "level"), problem=problem, read=str(int(portal.level)), severity="warning")


def _route(
    path: KeyPath, route: RouteSettings, portal: PortalSettings, sections: Sections
) -> Iterator[Remark]:
    yield from route_access.remarks(path, route, portal, sections)
    if route.access != "required":
        return
    methods, level = route.sign_in, route.level or portal.level
    if methods is not None:
        offered = portal.sign_in or (
            ("rekono",) if sections.acnlb is None and "acnlb" not in sections.faulty else ("rekono", "acnlb")
        )
        unknown = [method for method in methods if method not in offered]
        if unknown:
            problem = f"names `{unknown[0]}`, by which nobody can sign in at this portal"
            yield Remark(
                path=(*path, "sign_in"), problem=problem, read=", ".join(methods), valid=" or ".join(offered)
            )
    if (
        set(methods or portal.sign_in or ()) == {"acnlb"}
        and sections.acnlb is not None
        and level > sections.acnlb.level
    ):
        problem = (
            f"lets nobody in: a certificate gives level {int(sections.acnlb.level)} (`acnlb.level`), and "
            "nothing else will do here"
        )
        yield Remark(path=(*path, "level"), problem=problem, read=str(int(level)))
    if route.step_up is not None:
        yield from _step_up(
            (*path, "step_up"), route.step_up, _levels(methods or portal.sign_in, level, sections), sections
        )
        yield from _certificate_level((*path, "step_up", "methods"), route.step_up, level, sections)


def _levels(methods: tuple[SignInMethod, ...] | None, level: Level, sections: Sections) -> list[Level]:
    """The levels that people may have who have passed this demand."""
    if sections.acnlb is not None and set(methods or ()) == {"acnlb"}:
        return [sections.acnlb.level]
    return [possible for possible in Level if possible >= level]


def _step_up(
    path: KeyPath, demand: StepUpDemandSettings, levels: list[Level], sections: Sections
) -> Iterator[Remark]:
    if not demand.required:
        if demand.methods is not None or demand.max_age is not None or demand.shows:
            problem = "says that no proof is demanded, so `methods`, `max_age` and `shows` have no effect"
            yield Remark(path=(*path, "required"), problem=problem, read="false", severity="warning")
        return
    yield from _methods((*path, "methods"), demand, levels, sections)
    if demand.shows and not _is_per_request(demand):
        problem = "has no effect without `max_age: 0`: a proof for the session confirms no form"
        yield Remark(path=(*path, "shows"), problem=problem, read=", ".join(demand.shows), severity="warning")
    if _is_per_request(demand) and sections.step_up is not None and not sections.step_up.held.size:
        problem = (
            "lets no form through: `step_up.held.size` is 0, and a form that is not kept cannot be confirmed"
        )
        yield Remark(path=(*path, "max_age"), problem=problem, read="0s", severity="warning")
    if demand.max_age is None:
        return
    if sections.sessions and demand.max_age > sections.sessions.absolute:
        problem = (
            "is longer than `sessions.absolute`, so it has no effect: a session ends before a proof in it is "
            "so old"
        )
        yield Remark(path=(*path, "max_age"), problem=problem, severity="warning")


def _is_per_request(demand: StepUpDemandSettings) -> bool:
    return demand.required and demand.max_age == timedelta(0)


def _methods(
    path: KeyPath, demand: StepUpDemandSettings, levels: list[Level], sections: Sections
) -> Iterator[Remark]:
    wanted = set(demand.methods or ())
    read = ", ".join(demand.methods or ())
    if wanted == {"recovery"}:
        problem = "is recovery codes alone: somebody who has used up their codes could prove nothing"
        yield Remark(path=path, problem=problem, read=read, valid="at least one other method")
    elif wanted and not wanted & _set_up(sections):
        problem = (
            "can be met by nobody: what these methods need is not set up (`acnlb` for `certificate`, "
            "`step_up.sms` for `sms`), or does not count (`rekono.step_up_by`)"
        )
        yield Remark(path=path, problem=problem, read=read, valid=", ".join(sorted(_set_up(sections))))
    elif wanted and not wanted & _allowed(sections, levels):
        stated = " or ".join(str(int(level)) for level in levels)
        problem = f"can be met by nobody: `step_up.levels` allows none of them to people of level {stated}"
        yield Remark(
            path=path, problem=problem, read=read, valid=", ".join(sorted(_allowed(sections, levels)))
        )


def _certificate_level(
    path: KeyPath, demand: StepUpDemandSettings, level: Level, sections: Sections
) -> Iterator[Remark]:
    if (
        demand.required
        and "certificate" in (demand.methods or ())
        and sections.acnlb is not None
        and level > sections.acnlb.level
    ):
        given = int(sections.acnlb.level)
        problem = (
            f"names `certificate`, which does not count here: it proves level {given} (`acnlb.level`), not "
            f"{int(level)}"
        )
        yield Remark(path=path, problem=problem, read=", ".join(demand.methods or ()), severity="warning")


def _set_up(sections: Sections) -> set[StepUpMethod]:
    missing: set[StepUpMethod] = set()
    if sections.acnlb is None and "acnlb" not in sections.faulty:
        missing.add("certificate")
    if sections.step_up is not None and sections.step_up.sms is None:
        missing.add("sms")
    if provider_never_counts(sections):
        missing.add("rekono")
    return set(STEP_UP_METHODS) - missing


def _allowed(sections: Sections, levels: list[Level]) -> set[StepUpMethod]:
    if sections.step_up is None:
        return set(STEP_UP_METHODS)
    allowed: set[StepUpMethod] = set() if provider_never_counts(sections) else {"rekono"}
    return allowed.union(
        *(methods for name, methods in sections.step_up.levels.items() if int(name) in levels)
    )
