"""Encodings: found by reading the whole file, and never by replacing what does not fit."""

import codecs
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.files.encodings import FALLBACKS, Encoding, decoded, find_encoding
from crm.files.problems import FileProblem, UndecodableByte

JAPANESE = "会社名,氏名\r\n髙島屋①,﨑山 花子\r\n"  # with letters that plain Shift_JIS lacks and CP932 has


def text_of(data: bytes, fallbacks: tuple[str, ...] = FALLBACKS) -> str:
    stream = io.BytesIO(data)
    return "".join(decoded(stream, find_encoding(stream, fallbacks=fallbacks)))


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (JAPANESE.encode(), Encoding("utf-8")),
        (JAPANESE.encode("utf-8-sig"), Encoding("utf-8", 3)),
        (codecs.BOM_UTF16_LE + JAPANESE.encode("utf-16-le"), Encoding("utf-16-le", 2)),
        (codecs.BOM_UTF16_BE + JAPANESE.encode("utf-16-be"), Encoding("utf-16-be", 2)),
        (JAPANESE.encode("cp932"), Encoding("cp932")),
        ("Größe;naïve – “x”\n".encode("cp1252"), Encoding("cp1252")),
    ],
)
def test_the_mark_decides_and_then_the_first_encoding_in_which_all_can_be_read(data: bytes, encoding: Encoding) -> None:
    assert find_encoding(io.BytesIO(data), fallbacks=FALLBACKS) == encoding


def test_the_order_of_the_fallbacks_decides_what_could_be_both() -> None:
    data = "créer,congés".encode("cp1252")
    assert text_of(data, ("cp1252", "cp932")) == "créer,congés"
    assert text_of(data, ("cp932", "cp1252")) != "créer,congés"


def test_a_late_byte_that_is_not_utf8_changes_how_the_first_ones_are_read() -> None:
    text = "名前\n" + "a" * 400_000 + "\n株式会社\n"
    assert text_of(text.encode("cp932")) == text


@pytest.mark.parametrize("at", [0, 7, 131_071, 131_072, 131_073, 400_000])
def test_the_error_names_the_first_byte_that_does_not_fit_each_encoding(at: int) -> None:
    data = b"a" * at + b"\x81\xff" + b"a" * 10  # in none of the three
    with pytest.raises(FileProblem) as caught:
        find_encoding(io.BytesIO(data), fallbacks=FALLBACKS)
    assert caught.value.code == "unknown_encoding"
    assert f"UTF-8 (byte {at})" in caught.value.message
    assert f"CP932 (byte {at})" in caught.value.message
    assert f"Windows-1252 (byte {at})" in caught.value.message


@pytest.mark.parametrize("at", [3, 131_070, 131_072, 262_143])
def test_a_character_cut_off_by_the_end_of_the_file_is_named_by_its_first_byte(at: int) -> None:
    data = codecs.BOM_UTF8 + b"a" * (at - 3) + "会".encode()[:2]
    with pytest.raises(UndecodableByte) as caught:
        find_encoding(io.BytesIO(data), fallbacks=FALLBACKS)
    assert caught.value.offset == at


def test_half_a_surrogate_pair_in_utf_16_is_refused() -> None:
    data = codecs.BOM_UTF16_LE + "ab".encode("utf-16-le") + b"\x00\xd8" + "c".encode("utf-16-le")
    with pytest.raises(UndecodableByte) as caught:
        find_encoding(io.BytesIO(data), fallbacks=FALLBACKS)
    assert caught.value.offset == 6


@pytest.mark.parametrize(
    ("data", "at"),
    [
        (b"a,b\n1,\x002\n", 6),
        ("会社,b\n1,\x002\n".encode(), 11),
        (codecs.BOM_UTF16_BE + "会\0".encode("utf-16-be"), 4),
        ("a,b\n".encode("utf-16-le"), 1),  # UTF-16 without a mark
        (b"a" * 200_000 + b"\0", 200_000),
    ],
)
def test_a_nul_is_refused_by_its_byte(data: bytes, at: int) -> None:
    with pytest.raises(FileProblem, match=f"byte {at}:") as caught:
        find_encoding(io.BytesIO(data), fallbacks=FALLBACKS)
    assert caught.value.code == "nul_character"


@given(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"]),
    st.integers(0, 3),
)
def test_what_was_written_is_read_wherever_the_pieces_end(text: str, encoding: str, shift: int) -> None:
    text = "a" * (131_072 - shift) + text
    marks = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    assert text_of(marks.get(encoding, b"") + text.encode(encoding)) == text
