"""A cluster's secrets are made once and kept, whatever happens to the spec."""

import json
import os
import re
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from generator.bundle import CERTIFICATE, ENROLMENTS, FILES, KEY, Bundle, dump_bundle, parse_bundle, renew_bundle
from generator.errors import LocalError
from tests.fixed import NOW, fixed_random


def fresh(*names: str) -> Bundle:
    return renew_bundle(None, "prod", names, now=NOW, random=fixed_random())


def test_the_same_clock_and_randomness_give_the_same_bytes() -> None:
    assert dump_bundle(fresh("m1", "w1")) == dump_bundle(fresh("m1", "w1"))
    other = renew_bundle(None, "prod", ("m1", "w1"), now=NOW, random=os.urandom)
    assert not set(dump_bundle(other).values()) & set(dump_bundle(fresh("m1", "w1")).values())


def test_the_bundle_comes_back_as_it_was() -> None:
    assert parse_bundle(dump_bundle(fresh("m1"))) == fresh("m1")
    assert parse_bundle({}) is None


def test_an_enrolment_is_what_the_protocol_says() -> None:
    enrolment = fresh("m1").enrolments["m1"]
    assert re.fullmatch("[0-9a-f]{16}", enrolment.id)
    assert re.fullmatch("[0-9a-f]{64}", enrolment.secret.reveal())
    assert re.fullmatch("[0-9a-f]{64}", enrolment.digest)
    assert (enrolment.generation, enrolment.created_at, enrolment.retired) == (1, NOW, False)


def test_a_new_node_changes_nothing_for_the_others() -> None:
    later = NOW + timedelta(days=1)
    after = renew_bundle(fresh("m1"), "prod", ("w1", "m1"), now=later, random=os.urandom)
    assert after.enrolments["m1"] == fresh("m1").enrolments["m1"]
    assert after.root == fresh("m1").root
    assert after.enrolments["w1"].created_at == later


def test_a_node_that_is_gone_is_kept_as_retired_and_comes_back_as_the_next_generation() -> None:
    gone = renew_bundle(fresh("m1", "w1"), "prod", ("m1",), now=NOW, random=os.urandom)
    assert gone.enrolments["w1"].retired
    assert gone.enrolments["w1"].secret == fresh("m1", "w1").enrolments["w1"].secret
    back = renew_bundle(gone, "prod", ("m1", "w1"), now=NOW, random=os.urandom).enrolments["w1"]
    assert (back.generation, back.retired) == (2, False)
    assert back.secret != gone.enrolments["w1"].secret
    assert back.id != gone.enrolments["w1"].id


def test_a_node_to_reinstall_gets_the_next_generation_and_a_new_secret() -> None:
    before = fresh("m1", "w1")
    after = renew_bundle(before, "prod", ("m1", "w1"), now=NOW, random=os.urandom, reinstall=("w1",))
    assert after.enrolments["w1"].generation == 2
    assert after.enrolments["w1"].secret != before.enrolments["w1"].secret
    assert after.enrolments["m1"] == before.enrolments["m1"]


def test_a_folder_of_another_cluster_is_refused() -> None:
    with pytest.raises(LocalError, match="belongs to cluster 'prod', the spec describes 'test'"):
        renew_bundle(fresh("m1"), "test", ("m1",), now=NOW, random=os.urandom)


@pytest.mark.parametrize("missing", FILES)
def test_an_incomplete_bundle_is_refused_and_never_made_anew(missing: str) -> None:
    files = {path: data for path, data in dump_bundle(fresh("m1")).items() if path != missing}
    with pytest.raises(LocalError, match="incomplete"):
        parse_bundle(files)


@pytest.mark.parametrize(
    "spoilt", [b"", b"[]", b'{"format": 2}', b'{"format": 1, "nodes": {"m1": {"secret": "sesame"}}}']
)
def test_a_spoilt_bundle_is_refused_without_a_word_of_it(spoilt: bytes) -> None:
    with pytest.raises(LocalError) as refusal:
        parse_bundle({**dump_bundle(fresh("m1")), ENROLMENTS: spoilt})
    assert "sesame" not in str(refusal.value)


def test_the_enrolments_are_readable_json_and_the_object_shows_no_secret() -> None:
    bundle = fresh("m1")
    entry = json.loads(dump_bundle(bundle)[ENROLMENTS])["nodes"]["m1"]
    assert entry["createdAt"] == "2026-01-02T03:04:05+00:00"
    assert entry["secret"] == bundle.enrolments["m1"].secret.reveal()
    assert entry["secret"] not in repr(bundle)
    assert "PRIVATE KEY" not in repr(bundle)


def test_the_root_is_an_authority_of_ten_years() -> None:
    root = x509.load_pem_x509_certificate(dump_bundle(fresh())[CERTIFICATE])
    assert root.not_valid_before_utc == NOW - timedelta(days=1)
    assert root.not_valid_after_utc == NOW + timedelta(days=3650)
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_openssl_accepts_root_and_key(tmp_path: Path) -> None:
    for path in (CERTIFICATE, KEY):
        (tmp_path / Path(path).name).write_bytes(dump_bundle(fresh())[path])
    public = [
        subprocess.run(["openssl", *command], cwd=tmp_path, check=True, capture_output=True).stdout
        for command in (["x509", "-in", "root.crt", "-pubkey", "-noout"], ["pkey", "-in", "root.key", "-pubout"])
    ]
    assert public[0] == public[1]
    subprocess.run(
        ["openssl", "verify", "-CAfile", "root.crt", "root.crt"], cwd=tmp_path, check=True, capture_output=True
    )
