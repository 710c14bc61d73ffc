"""What the settings of a portal and its routes come to in the rules."""

from __future__ import annotations

from datetime import timedelta

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from authproxy.access.policy import is_sign_out, route_of
from authproxy.access.routes import Requirement, StepUp
from authproxy.access.target import RequestTarget
from authproxy.bootstrap.portals import all_portals, portal_of
from authproxy.identity.assurance import STEP_UP_METHODS, Level
from tests.support.certificate_builder import Authority, der, ec_key, lists_at, pem


def requirements(workshop, **portal):
    def spoil(settings):
        settings["portals"]["acq"] |= portal

    settings = workshop.read(spoil).settings
    found = portal_of("acq", settings.portals["acq"], ("rekono", "acnlb"))
    return {route.name: route.requirement for route in found.routes}


ANY = StepUp(methods=STEP_UP_METHODS)


def test_how_the_portal_compares_paths_holds_for_routes_and_sign_out_links(workshop):
    def portal_with(paths):
        def spoil(settings):
            settings["portals"]["acq"] |= {
                "paths": paths,
                "routes": [{"path": "/Admin", "level": "30"}],
                "sign_out_paths": ["/Account/LogOff"],
            }

        return portal_of("acq", workshop.read(spoil).settings.portals["acq"], ("rekono",))

    for paths, is_found in (("exact", False), ("ignore_case", True), ("windows", True)):
        portal = portal_with(paths)
        admin, log_off = (
            RequestTarget("GET", portal.host, path, None) for path in ("/ADMIN/x", "/account/logoff")
        )
        assert (route_of(portal, admin).path == "/Admin") is is_found
        assert is_sign_out(portal, log_off) is is_found
    assert is_sign_out(portal, RequestTarget("GET", portal.host, "/account./LogOff%20", None))


def test_a_portal_demands_one_proof_by_any_method_unless_it_says_otherwise(workshop):
    assert requirements(workshop)["acq"] == Requirement(methods=("rekono", "acnlb"), step_up=ANY)
    assert requirements(workshop, step_up={"required": False})["acq"].step_up is None
    demanding = requirements(workshop, step_up={"methods": ["push", "totp"], "max_age": "10m"})
    assert demanding["acq"].step_up == StepUp(methods=("push", "totp"), max_age=timedelta(minutes=10))


def test_a_route_says_what_is_different_there(workshop):
    routes = [
        {"path": "/same"},
        {"path": "/open", "step_up": {"required": False}},
        {
            "path": "/pay",
            "methods": ["POST"],
            "sign_in": ["rekono"],
            "level": "20",
            "required_claims": ["phone_number"],
            "step_up": {"methods": ["push"], "max_age": "5m"},
        },
    ]
    found = requirements(workshop, level="10", routes=routes, step_up={"methods": ["totp"]})
    assert found == {
        "acq/same": Requirement(methods=("rekono", "acnlb"), step_up=StepUp(methods=("totp",))),
        "acq/open": Requirement(methods=("rekono", "acnlb")),
        "acq/pay POST": Requirement(
            level=Level.MEDIUM,
            methods=("rekono",),
            claims=("phone_number",),
            step_up=StepUp(methods=("push",), max_age=timedelta(minutes=5)),
        ),
        "acq": Requirement(methods=("rekono", "acnlb"), step_up=StepUp(methods=("totp",))),
    }


def test_where_no_sign_in_is_a_proof_no_place_names_one(workshop):
    def spoil(settings):
        settings["rekono"]["step_up_by"] = "never"
        settings["portals"]["acq"]["routes"] = [
            {"path": "/pay", "step_up": {"methods": ["totp", "rekono"], "max_age": "5m"}},
            {"path": "/open", "step_up": {"required": False}},
        ]

    portals = all_portals(workshop.read(spoil).settings)
    found = {
        route.name: route.requirement.step_up
        for portal in portals.by_host.values()
        for route in portal.routes
    }
    assert found == {
        "acq/pay": StepUp(methods=("totp",), max_age=timedelta(minutes=5)),
        "acq/open": None,
        "acq": StepUp(methods=tuple(method for method in STEP_UP_METHODS if method != "rekono")),
    }


HIGH = '{"id_token":{"acr":{"essential":true,"values":["substantial","high"]}}}'


def test_what_the_provider_is_asked_for_is_the_nearest_of_gateway_portal_and_route(workshop):
    def spoil(settings):
        settings["rekono"]["parameters"] = {"kc_idp_hint": "banka", "acr_values": "low"}
        settings["portals"]["acq"] |= {
            "rekono_parameters": {"acr_values": "substantial"},
            "routes": [
                {"path": "/pay", "rekono_parameters": {"claims": HIGH}, "step_up": {"methods": ["rekono"]}},
                {"path": "/x"},
            ],
        }

    found = {
        route.name: route
        for portal in all_portals(workshop.read(spoil).settings).by_host.values()
        for route in portal.routes
    }
    common = {"kc_idp_hint": "banka", "acr_values": "substantial"}
    assert {name: route.provider_demand.parameters for name, route in found.items()} == {
        "acq/pay": common | {"claims": HIGH},
        "acq/x": common,
        "acq": common,
    }
    assert {name: route.requirement.step_up.acr for name, route in found.items()} == {
        "acq/pay": ("substantial", "high"),
        "acq/x": (),
        "acq": (),
    }


def test_a_route_that_asks_more_of_a_certificate_than_one_gives_lets_nobody_in(workshop):
    root = Authority.root(key=ec_key())
    own, sub = (
        root.authority("potrdila.example.si", key=ec_key()),
        root.authority("Sub", key=ec_key(), lists=lists_at("http://acldap.nlb.si/crl/root.crl")),
    )
    key = own.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def spoil(settings):
        settings["acnlb"] = {
            "url": "https://potrdila.example.si",
            "listen": "127.0.0.1:8444",
            "tls": {
                "certificate_file": str(workshop.write("host.pem", pem(own.certificate).encode())),
                "key_file": str(workshop.write("host.key", key)),
            },
            "root_file": str(workshop.write("root.cer", der(root.certificate))),
            "sub_ca_file": str(workshop.write("sub.cer", der(sub.certificate))),
        }
        settings["portals"]["acq"]["routes"] = [
            {"path": "/both", "level": "30"},
            {"path": "/card", "sign_in": ["acnlb"], "level": "30"},
            {"path": "/less", "sign_in": ["acnlb"], "level": "20", "step_up": {"methods": ["certificate"]}},
            {
                "path": "/enough",
                "sign_in": ["acnlb"],
                "level": "20",
                "step_up": {"methods": ["certificate", "totp"]},
            },
            {"path": "/worth", "level": "30", "step_up": {"methods": ["certificate", "totp"]}},
        ]

    found = [
        (each.key, each.severity) for each in workshop.read(spoil).findings if each.key.startswith("portals")
    ]
    assert found == [
        ("portals.acq.routes[1].level", "error"),
        ("portals.acq.routes[2].step_up.methods", "error"),
        ("portals.acq.routes[4].step_up.methods", "warning"),
    ]
