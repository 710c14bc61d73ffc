from __future__ import annotations

from email.message import EmailMessage

import pytest

from authproxy.sandbox.outbox.letter import NotALetter, letter

HEAD = b"From: a@example.si\r\nTo: b@example.si\r\nMIME-Version: 1.0\r\n"


def test_a_subject_beyond_ascii_is_read_in_every_way_it_is_written():
    encoded = letter(HEAD + b"Subject: =?utf-8?q?=C5=BDiva_=C4=8Cu=C5=A1?=\r\n =?utf-8?q?_=C5=BEe?=\r\n\r\nx")
    base64 = letter(HEAD + b"Subject: =?utf-8?b?xb1pdmE=?=\r\n\r\nx")
    latin = letter(HEAD + b"Subject: =?iso-8859-2?q?=AEiva?=\r\n\r\nx")
    raw = letter(HEAD + "Subject: Živa\r\n\r\nx".encode())
    assert [each.subject for each in (encoded, base64, latin, raw)] == ["Živa Čuš že", "Živa", "Živa", "Živa"]


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (
            b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n",
            b"=C4=8D=C5=A1=\r\n=C5=BE 123",
        ),
        (
            b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n",
            b"xI3FocW+IDEyMw==",
        ),
        (
            b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n",
            "čšž 123".encode(),
        ),
        (
            b"Content-Type: text/plain; charset=windows-1250\r\nContent-Transfer-Encoding: 8bit\r\n",
            "čšž 123".encode("cp1250"),
        ),
        (
            b"Content-Type: text/plain; charset=never-heard-of\r\nContent-Transfer-Encoding: 8bit\r\n",
            "čšž 123".encode(),
        ),
        (
            b"Content-Type: text/plain; charset=undefined\r\nContent-Transfer-Encoding: 8bit\r\n",
            "čšž 123".encode(),
        ),
        (b"", "čšž 123".encode()),
        (
            b"Content-Type: text/html; charset=utf-8\r\n",
            "<html><head><title>x</title><style>p{}</style></head><p>čšž <b>123</b></p></html>".encode(),
        ),
    ],
    ids=[
        "quoted-printable",
        "base64",
        "8bit",
        "windows-1250",
        "an unknown character set",
        "no character set",
        "none stated",
        "only HTML",
    ],
)
def test_the_text_is_read_however_it_travelled(head, body):
    assert letter(HEAD + head + b"\r\n" + body).text == "čšž 123"


def test_of_several_parts_the_plain_one_is_read_and_attachments_are_named():
    message = EmailMessage()
    message["Subject"] = "Račun"
    message.set_content("Koda 123456\n")
    message.add_alternative("<p>HTML</p>", subtype="html")
    message.add_attachment(b"x", maintype="application", subtype="pdf", filename="račun št. 1.pdf")
    message.add_attachment(b"x", maintype="image", subtype="png")
    read = letter(message.as_bytes())
    assert (read.subject, read.text, read.attachments) == (
        "Račun",
        "Koda 123456",
        ("račun št. 1.pdf", "image/png"),
    )


def test_blocks_of_html_become_lines():
    html = (
        b"Content-Type: text/html\r\n\r\n<h1>A</h1> <p>b<br>c</p><script>d</script></style><ul><li>e &amp; "
        b"f</li></ul>"
    )
    assert letter(HEAD + html).text.split() == ["A", "b", "c", "e", "&", "f"]
    assert letter(HEAD + html).text.count("\n") >= 3


def test_a_letter_without_anything_to_read_is_empty_and_a_long_one_is_cut():
    assert (
        letter(HEAD + b"Content-Type: application/pdf\r\nContent-Disposition: attachment\r\n\r\nx").text == ""
    )
    assert letter(HEAD + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n").text == ""
    assert letter(HEAD + b"Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ny").text == ""
    assert len(letter(HEAD + b"\r\n" + b"x" * 30_000).text) == 20_000
    assert len(letter(HEAD + b"Subject: " + b"x " * 900 + b"\r\n\r\n").subject) == 500


@pytest.mark.parametrize(
    "content",
    [b"", b"just words, no header\r\n", b"\r\nbody only", HEAD + b"\r\na\0b"],
    ids=["nothing", "words", "no header", "a NUL byte"],
)
def test_what_is_no_letter_is_refused(content):
    with pytest.raises(NotALetter):
        letter(content)


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Type: text/plain; charset*=x''%ZZ\r\n",
        b"Content-Type: ;;;\r\n",
        b"Subject: =?utf-8?b?!!!?=\r\n",
        b"To: <<<>>>,,\r\n",
        b'Content-Type: text/plain; charset="\xc4\x8d"\r\n',
        b"Content-Type: text/plain; charset=idna\r\n",
    ],
)
def test_headers_that_lie_harm_nobody(head):
    assert letter(HEAD + head + b"\r\nxyz").text == "xyz"
