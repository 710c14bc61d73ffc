"""PURE: checks of `rekono.step_up_by`, which says when a sign-in at the provider is a fresh proof, too; and
of `rekono.max_age`, without which the provider need not state `auth_time` (OpenID Connect Core §2,
§3.1.2.1)."""

from __future__ import annotations

from collections.abc import Iterator

from authproxy.identity.assurance import STEP_UP_METHODS
from authproxy.settings.findings import KeyPath, Remark, shown
from authproxy.settings.schema import StepUpDemandSettings
from authproxy.settings.validation import Sections
from authproxy.settings.values import is_rekonos_own

_THE_VALUES = "`always`, `never`, or the words that count, such as `{amr: [mfa, otp], acr: [high]}`"


def provider_never_counts(sections: Sections) -> bool:
    """Whether a sign-in at the provider never counts as a fresh proof."""
    return sections.rekono is not None and sections.rekono.step_up_by == "never"


def remarks(sections: Sections) -> Iterator[Remark]:
    rekono = sections.rekono
    if rekono is None:
        return
    path: KeyPath = ("rekono", "step_up_by")
    if rekono.step_up_by is None and not is_rekonos_own(rekono.issuer):
        problem = (
            "is missing: the issuer is not Rekono's own, and only Rekono is known to confirm every sign-in"
        )
        yield Remark(path=path, problem=problem, valid=_THE_VALUES)
    elif isinstance(rekono.step_up_by, dict) and not any(rekono.step_up_by.values()):
        problem = "names no word that counts, so that no sign-in would be a fresh proof"
        yield Remark(path=path, problem=problem, valid=_THE_VALUES)
    elif provider_never_counts(sections) and _nobody_can_begin(sections):
        problem = (
            "leaves nobody a first proof: adding a method needs a proof, and without `step_up.sms` and "
            "`acnlb` a person without a method has none"
        )
        yield Remark(path=path, problem=problem, read="never", severity="warning")
    if not provider_never_counts(sections) and rekono.max_age is None:
        yield from _untimed(sections)


def _nobody_can_begin(sections: Sections) -> bool:
    has_acnlb = sections.acnlb is not None or "acnlb" in sections.faulty
    has_sms = sections.step_up is None or sections.step_up.sms is not None
    demands = (demand for _, demand in _demands(sections))
    return not has_acnlb and not has_sms and any(demand.required for demand in demands)


def _untimed(sections: Sections) -> Iterator[Remark]:
    for path, demand in _demands(sections):
        if demand.required and demand.max_age is not None and "rekono" in (demand.methods or STEP_UP_METHODS):
            problem = (
                "is only met by sign-ins that are requested as a proof: `rekono.max_age` is unset, so the "
                "provider need not state when the person has authenticated"
            )
            read, valid = shown(f"{demand.max_age.total_seconds():g}s"), "set `rekono.max_age`, such as `5m`"
            yield Remark(path=(*path, "max_age"), problem=problem, read=read, valid=valid, severity="warning")


def _demands(sections: Sections) -> Iterator[tuple[KeyPath, StepUpDemandSettings]]:
    for name, portal in sections.portals.items():
        yield ("portals", name, "step_up"), portal.step_up
        for at, route in enumerate(portal.routes):
            if route.step_up is not None:
                yield ("portals", name, "routes", at, "step_up"), route.step_up
