"""Every awkward file is opened upright and right, or refused in one sentence."""

import io
import os
import socket
import struct
import sys
import threading
import time
import types
import zlib
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
from PIL import Image

from zsc.images import ImageError, as_sources, describe, image_suffixes, open_image

QUARTERS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]  # top left, top right, bottom left, bottom right
GREYS = [0, 80, 160, 255]
W, H = 48, 32


def picture(mode="RGB"):
    """A picture whose four quarters differ, so that no turn or flip goes unseen."""
    if mode == "RGB":
        pixels = np.zeros((H, W, 3), np.uint8)
        for q, colour in enumerate(QUARTERS):
            pixels[(q // 2) * H // 2 :, (q % 2) * W // 2 :][: H // 2, : W // 2] = colour
        return Image.fromarray(pixels)
    pixels = np.zeros((H, W), np.uint8)
    for q, grey in enumerate(GREYS):
        pixels[(q // 2) * H // 2 :, (q % 2) * W // 2 :][: H // 2, : W // 2] = grey
    return Image.fromarray(pixels)


def middles(image):
    return [image.getpixel((x, y)) for y in (H // 4, 3 * H // 4) for x in (W // 4, 3 * W // 4)]


def assert_quarters(image, expected, tolerance=0):
    assert image.mode == "RGB" and image.size == (W, H)
    found, expected = np.array(middles(image), int), np.array(expected, int)
    assert np.abs(found - expected).max() <= tolerance, found


def grey(values):
    return [(v, v, v) for v in values]


def save(image, path, **options):
    image.save(path, **options)
    return path


def turned(orientation, path):
    """Store the picture as a camera does that was held otherwise: turned, with the EXIF tag that undoes it."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    return save(picture().transpose(undo), path, exif=exif)


def png_16_bit_rgb(path):
    """Write a 16-bit RGB PNG by hand; Pillow cannot."""
    rows = np.asarray(picture()).astype(">u2") * 257
    raw = b"".join(b"\0" + row.tobytes() for row in rows)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", W, H, 16, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    )
    return path


def rgba(path, alpha=0):
    image = picture().convert("RGBA")
    image.paste((9, 9, 9, alpha), (0, 0, W // 2, H // 2))  # top left: dark, and transparent
    return save(image, path)


def palette_with_transparency(path):
    image = picture().quantize(colors=8)
    return save(image, path, transparency=image.getpixel((2, 2)))


def second_frame_differs(path, **options):
    return save(picture(), path, save_all=True, append_images=[Image.new("RGB", (W, H), "black")], **options)


WHITE_FIRST = [(255, 255, 255), *QUARTERS[1:]]
OPENED = {
    **{f"turned{o}.jpg": (lambda p, o=o: turned(o, p), QUARTERS, 6) for o in range(2, 9)},
    "plain.jpg": (lambda p: save(picture(), p, quality=95), QUARTERS, 6),
    "UPPER ünï.JPEG": (lambda p: save(picture(), p, quality=95), QUARTERS, 6),
    "grey.png": (lambda p: save(picture("L"), p), grey(GREYS), 0),
    "grey-alpha.png": (lambda p: save(picture("L").convert("LA"), p), grey(GREYS), 0),
    "palette.png": (lambda p: save(picture().quantize(colors=8), p), QUARTERS, 0),
    "palette-transparent.png": (palette_with_transparency, WHITE_FIRST, 0),
    "rgba.png": (rgba, WHITE_FIRST, 0),
    "rgba-half.png": (lambda p: rgba(p, alpha=128), [(131, 131, 131), *QUARTERS[1:]], 2),
    "cmyk.jpg": (lambda p: save(picture().convert("CMYK"), p, quality=95), QUARTERS, 8),
    "one-bit.png": (lambda p: save(picture("L").convert("1", dither=0), p), grey([0, 0, 255, 255]), 0),
    "grey-16-bit.png": (
        lambda p: save(Image.fromarray(np.asarray(picture("L")).astype(np.uint16) * 257), p),
        grey(GREYS),
        0,
    ),
    "grey-16-bit.tif": (
        lambda p: save(Image.fromarray(np.asarray(picture("L")).astype(np.uint16) * 257), p),
        grey(GREYS),
        0,
    ),
    "rgb-16-bit.png": (png_16_bit_rgb, QUARTERS, 0),
    "float.tif": (
        lambda p: save(Image.fromarray(np.asarray(picture("L")).astype(np.float32) / 255), p),
        grey(GREYS),
        1,
    ),
    "integers.tif": (lambda p: save(Image.fromarray(np.asarray(picture("L")).astype(np.int32)), p), grey(GREYS), 0),
    "ycbcr.tif": (lambda p: save(picture("RGB").convert("YCbCr"), p), QUARTERS, 4),
    "moving.gif": (second_frame_differs, QUARTERS, 0),
    "moving.webp": (lambda p: second_frame_differs(p, lossless=True), QUARTERS, 0),
    "pages.tif": (second_frame_differs, QUARTERS, 0),
    "plain.bmp": (lambda p: save(picture(), p), QUARTERS, 0),
    "png named.jpg": (lambda p: save(picture(), p, format="PNG"), QUARTERS, 0),
    "broken-exif.jpg": (lambda p: save(picture(), p, quality=95, exif=b"Exif\0\0II*\0garbage"), QUARTERS, 6),
}


def cut(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))


def noise(path, **options):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return save(Image.fromarray(pixels), path, **options)


REFUSED = {
    "cut.jpg": (lambda p: cut(noise(p), 0.5), "damaged or cut short"),
    "cut.png": (lambda p: cut(noise(p), 0.5), "damaged or cut short"),
    "cut-head.png": (lambda p: cut(noise(p), 0.002), "damaged or cut short"),
    "flipped.png": (lambda p: flip(noise(p)), "damaged or cut short"),
    "empty.jpg": (lambda p: p.write_bytes(b""), "the file is empty"),
    "page.jpg": (lambda p: p.write_text("<!DOCTYPE html><html>404</html>"), "web page"),
    "drawing.png": (lambda p: p.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>"), "vector drawing"),
    "phone.heic": (lambda p: p.write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 40), "HEIC"),
    "text.jpg": (lambda p: p.write_text("no picture at all"), "not a picture that Pillow can read"),
    "folder.jpg": (lambda p: p.mkdir(), "this is a folder"),
    "missing.jpg": (lambda p: None, "no such file"),
    "wild-floats.tif": (lambda p: save(Image.fromarray(np.full((4, 4), 1e6, np.float32)), p), "no agreed brightness"),
    "nan.tif": (lambda p: save(Image.fromarray(np.full((4, 4), np.nan, np.float32)), p), "no agreed brightness"),
}


def reads_what_it_writes(path):
    try:
        with Image.open(path) as opened:
            opened.load()
    except OSError:
        return False
    return True


def test_there_are_enough_awkward_files():
    assert len(OPENED) + len(REFUSED) >= 25


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")  # Pillow says so, and the picture is intact
@pytest.mark.parametrize("name", OPENED)
def test_opened_upright_and_right(name, tmp_path):
    make, expected, tolerance = OPENED[name]
    make(tmp_path / name)
    if name == "ycbcr.tif" and not reads_what_it_writes(tmp_path / name):
        pytest.skip("this Pillow does not read the YCbCr TIFF that it has written itself")
    assert_quarters(open_image(tmp_path / name), expected, tolerance)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_sentence(name, tmp_path):
    make, reason = REFUSED[name]
    make(tmp_path / name)
    with pytest.raises(ImageError, match=reason) as caught:
        open_image(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_large_to_open_safely(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ImageError, match="too large to open safely"):
        open_image(save(picture(), tmp_path / "huge.png"))


def test_every_kind_of_source(tmp_path):
    path = save(picture(), tmp_path / "a.png")
    array = np.asarray(picture())
    for source in (path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes()), picture(), array):
        assert_quarters(open_image(source), QUARTERS)


def test_white_shows_through_what_is_transparent(tmp_path):
    assert open_image(rgba(tmp_path / "a.png")).getpixel((3, 3)) == (255, 255, 255)


def test_the_given_picture_is_not_changed():
    given = picture().convert("RGBA")
    open_image(given)
    assert given.mode == "RGBA"


@pytest.mark.parametrize("source", [np.zeros((4, 4), np.float32), np.zeros((4, 4, 2), np.uint8), 7, None])
def test_no_picture_at_all(source):
    with pytest.raises(ImageError, match="is no picture"):
        open_image(source)


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self):
        buffer = io.BytesIO()
        picture().save(buffer, format="PNG")
        bodies = {"/a.png": buffer.getvalue(), "/my%20k%C3%A4tzchen.png": buffer.getvalue(), "/page": b"<html>no"}
        self.send_response(200 if self.path in bodies else 404)
        self.end_headers()
        self.wfile.write(bodies.get(self.path, b"no"))

    def log_message(self, *args):
        pass


def test_url():
    server = HTTPServer(("127.0.0.1", 0), _Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    try:
        assert_quarters(open_image(f"{base}/a.png"), QUARTERS)
        assert_quarters(open_image(f"{base}/my kätzchen.png"), QUARTERS)
        with pytest.raises(ImageError, match=r"/page: this is a web page, not a picture"):
            open_image(f"{base}/page")
        with pytest.raises(ImageError, match=r"gone\.png: could not be fetched .*404"):
            open_image(f"{base}/gone.png")
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("", "an empty path is no picture"),
        ("x" * 300, "cannot be read"),
        ("http://[bad/x.png", "could not be fetched"),
        (np.zeros((0, 5, 3), np.uint8), "without pixels"),
    ],
)
def test_odd_sources(source, reason):
    with pytest.raises(ImageError, match=reason):
        open_image(source)


def exif_block(*entries):
    """An EXIF block by hand: entries of tag, type, count and value; values of over four bytes lie behind."""
    start = 8 + 2 + 12 * len(entries) + 4
    table, behind = b"", b""
    for tag, kind, count, value in sorted(entries):
        here = value if len(value) <= 4 else struct.pack("<I", start + len(behind))
        behind += value if len(value) > 4 else b""
        table += struct.pack("<HHI", tag, kind, count) + here.ljust(4, b"\0")
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + table + struct.pack("<I", 0) + behind


SIDEWAYS = (0x0112, 3, 1, struct.pack("<HH", 6, 0))  # orientation 6, a SHORT as the standard says
ODD_ENTRIES = {
    "make as a rational": (0x010F, 5, 1, struct.pack("<II", 1, 1)),
    "software as a double": (0x0131, 12, 1, struct.pack("<d", 1.5)),
    "resolution 0/0": (0x011A, 5, 1, struct.pack("<II", 0, 0)),
    "date as signed bytes": (0x0132, 6, 3, b"\xff\xfe\xfd"),
    "version as a float": (0x9000, 11, 1, struct.pack("<f", 2.0)),
    "a type nobody knows": (0x0110, 99, 1, b"\1\2\3\4"),
    "text beyond the end": (0x8298, 2, 60_000, b"\0\0\0\1\0"),
}


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


class TestMetadata:
    """Whatever a picture's metadata hold, an intact picture opens, and the right way up."""

    @pytest.mark.filterwarnings("ignore::UserWarning")
    @pytest.mark.parametrize("entry", ODD_ENTRIES.values(), ids=ODD_ENTRIES)
    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
    def test_exif_entries_of_odd_types(self, entry, kind):
        data = encoded(Image.new("RGB", (40, 20)), kind, exif=exif_block(entry, SIDEWAYS))
        assert open_image(data).size == (20, 40)
        assert open_image(Image.open(io.BytesIO(data))).size == (20, 40)

    @pytest.mark.filterwarnings("error")
    def test_warnings_that_are_errors_lose_no_picture(self):
        data = encoded(
            Image.new("RGB", (40, 20)), "JPEG", exif=exif_block(ODD_ENTRIES["text beyond the end"], SIDEWAYS)
        )
        assert open_image(data).size == (20, 40)
        assert open_image(encoded(Image.new("RGB", (4, 4)), "JPEG", exif=b"Exif\0\0II*\0garbage")).size == (4, 4)

    @pytest.mark.parametrize(
        "value",
        [
            (1, 1, b"\6"),
            (2, 2, b"6\0"),
            (4, 1, struct.pack("<I", 6)),
            (3, 2, struct.pack("<HH", 6, 1)),
            (5, 1, struct.pack("<II", 6, 1)),
        ],
    )
    def test_an_orientation_of_another_type(self, value):
        data = encoded(Image.new("RGB", (40, 20)), "JPEG", exif=exif_block((0x0112, *value)))
        assert open_image(data).size == (20, 40)

    def test_a_tiff_with_texts_of_odd_types(self):
        data = bytearray(encoded(picture(), "TIFF", tiffinfo={0x0112: 6, 0x02BC: b"<x/>"}))
        entry = data.find(struct.pack("<HH", 0x02BC, 1))
        data[entry : entry + 8] = struct.pack("<HHI", 0x02BC, 4, 1)  # XMP as a whole number
        assert open_image(bytes(data)).size == (H, W)

    @pytest.mark.parametrize(
        "options",
        [
            {"icc_profile": bytes(2_000_000)},
            {"pnginfo": ("XML:com.adobe.xmp", " " * 3_000_000, True)},
            {"pnginfo": ("Comment", "x" * 3_000_000, True)},
            {"pnginfo": ("Comment", "x" * 70_000_000, False)},
        ],
        ids=["profile", "xmp", "packed text", "long text"],
    )
    def test_large_profiles_and_texts(self, options):
        from PIL.PngImagePlugin import PngInfo

        if "pnginfo" in options:
            key, text, packed = options["pnginfo"]
            options = {"pnginfo": PngInfo()}
            (options["pnginfo"].add_itxt if key.startswith("XML") else options["pnginfo"].add_text)(
                key, text, zip=packed
            )
        exif = Image.Exif()
        exif[0x0112] = 6
        opened = open_image(encoded(picture().transpose(Image.Transpose.ROTATE_90), exif=exif, **options))
        assert_quarters(opened, QUARTERS)

    def test_a_text_that_is_damaged(self):
        data = encoded(picture())
        bad = struct.pack(">I", 6) + b"zTXta\0\0bad" + b"\0\0\0\0"
        assert_quarters(open_image(data[:33] + bad + data[33:]), QUARTERS)

    def test_jpeg_segments_that_are_damaged(self):
        data = encoded(picture(), "JPEG", quality=95, exif=exif_block(SIDEWAYS))
        for segment in (b"MPF\0garbage", b"Photoshop 3.0\x008BIM\x03\xed\0\xff", b"ICC_PROFILE\0"):
            marker = b"\xff\xe2" if not segment.startswith(b"Photo") else b"\xff\xed"
            bad = data[:2] + marker + struct.pack(">H", len(segment) + 2) + segment + data[2:]
            assert open_image(bad).size == (H, W)

    def test_an_orientation_that_was_only_set(self):
        image = Image.new("RGB", (40, 20))
        image.getexif()[0x0112] = 6
        assert open_image(image).size == open_image(image).size == (20, 40)
        assert image.size == (40, 20) and image.getexif()[0x0112] == 6


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "LA", "La", "PA", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I", "F"]
)
def test_every_mode_opens(mode):
    assert open_image(Image.new(mode, (5, 4))).size == (5, 4)
    half = Image.merge("LA", (Image.new("L", (2, 2), 200), Image.new("L", (2, 2), 128))).convert("La")
    assert abs(open_image(half).getpixel((0, 0))[0] - 227) <= 2  # premultiplied grey over white


class TestNoFiles:
    """What has a name and is no file is refused before it is opened; what is huge, before it is read."""

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
    def test_pipes_sockets_and_devices(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)  # names of sockets are short
        os.mkfifo("pipe.jpg")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket.jpg")
            for name in ("pipe.jpg", "socket.jpg", "/dev/zero"):
                with pytest.raises(ImageError, match=f"{name}: this is a device, pipe or socket"):
                    open_image(name)

    def test_too_many_bytes(self, tmp_path, monkeypatch):
        path = save(picture(), tmp_path / "a.png")
        monkeypatch.setattr("zsc.images.MAX_FILE_BYTES", 50)
        with path.open("rb") as file:
            for source in (path, file, io.BytesIO(path.read_bytes())):
                with pytest.raises(ImageError, match="larger than 0 MB"):
                    open_image(source)

    def test_no_program_is_run_for_a_picture(self, tmp_path):
        (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n")
        with pytest.raises(ImageError, match=r"a\.png: this is a vector drawing or document"):
            open_image(tmp_path / "a.png")

    def test_names_that_begin_with_a_tilde(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        (tmp_path / "home").mkdir()
        for name in ("~$x.png", "~x.png", "home/~.png"):
            save(picture(), tmp_path / name)
        for name in ("~$x.png", "~x.png", "~/~.png"):
            assert_quarters(open_image(name), QUARTERS)
        with pytest.raises(ImageError, match=r"~\$y\.png: no such file"):
            open_image("~$y.png")


class _Hostile:
    """A source that raises whatever it is told to."""

    def __init__(self, error):
        self.error = error

    def read(self, size=-1):
        raise self.error


ERRORS = [RuntimeError, TypeError, AttributeError, MemoryError, RecursionError, ZeroDivisionError, AssertionError]


@pytest.mark.parametrize("error", [kind("x") for kind in ERRORS], ids=lambda e: type(e).__name__)
def test_whatever_is_raised_becomes_an_image_error(error, monkeypatch):
    with pytest.raises(ImageError, match="a _Hostile: "):
        open_image(_Hostile(error))

    def fail(*args, **options):
        raise error

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(ImageError, match="holiday: ") as caught:
        open_image(b"x", name="holiday")
    assert caught.value.__cause__ is error


def test_an_interrupt_is_not_swallowed():
    with pytest.raises(KeyboardInterrupt):
        open_image(_Hostile(KeyboardInterrupt()))


def test_sources_that_cannot_be_used(tmp_path):
    path = save(picture(), tmp_path / "a.png")
    closed = Image.open(path)
    closed.close()
    with path.open(encoding="latin-1") as text, pytest.raises(ImageError, match="opened as text"):
        open_image(text)
    cases = [
        (closed, "PIL image cannot be used"),
        (io.StringIO("x"), "opened as text"),
        ({"bytes": None, "path": None}, "without bytes and path"),
        ("a\0b.png", r"a\\x00b.png: cannot be read"),
        ("\x1b[31mred.png", r"\\x1b\[31mred.png: no such file"),
    ]
    for source, reason in cases:
        with pytest.raises(ImageError, match=reason):
            open_image(source)


def test_pictures_as_hugging_face_stores_them(tmp_path):
    path = save(picture(), tmp_path / "a.png")
    for source in ({"bytes": path.read_bytes(), "path": "a.png"}, {"bytes": None, "path": str(path)}):
        assert_quarters(open_image(source), QUARTERS)
        assert as_sources(source) == [source]
    with pytest.raises(ImageError, match=r"^b\.png: not a picture"):
        open_image({"bytes": b"broken", "path": "b.png"})


def test_sets_have_no_order():
    with pytest.raises(TypeError, match="images is a set, where order decides"):
        as_sources({"a.png", "b.png"})


@pytest.mark.filterwarnings("error")
def test_a_bomb_is_an_image_error_even_where_warnings_are_errors(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", W * H - 1)  # Pillow only warns up to twice as many
    with pytest.raises(ImageError, match="too large to open safely"):
        open_image(encoded(picture()))


def test_names_are_texts_that_utf_8_can_hold(tmp_path):
    name = os.fsdecode(os.fsencode(str(tmp_path / "caf")) + b"\xe9.png")
    assert describe(name).endswith(r"caf\xe9.png") and describe(tmp_path / "ä\n.png").endswith("ä\n.png")
    describe(Image.new("RGB", (2, 2))).encode()


def test_what_is_listed_is_what_opens():
    suffixes = image_suffixes()
    assert {".jpg", ".jfif", ".jpe", ".ppm", ".jp2", ".mpo", ".tif"} <= suffixes
    assert not {".pdf", ".eps", ".ps", ".mpg", ".h5", ".emf"} & suffixes
    for kind, suffix in (("JPEG2000", ".jp2"), ("PPM", ".pnm"), ("TGA", ".tga"), ("ICO", ".ico"), ("SGI", ".sgi")):
        assert suffix in suffixes and open_image(encoded(picture(), kind)).mode == "RGB"


def test_heic_opens_where_a_decoder_is_installed(monkeypatch):
    from PIL import ImageFile

    import zsc.images

    class FakeHeif(ImageFile.ImageFile):
        format = "HEIF"

        def _open(self):
            self._mode, self._size = "RGB", (3, 2)
            self.tile = [("raw", (0, 0, 3, 2), 16, ("RGB", 0, 1))]

    def register():
        Image.register_open("HEIF", FakeHeif, lambda head: head[4:12] == b"ftypheic")
        Image.register_extension("HEIF", ".heic")

    plugin = types.ModuleType("pillow_heif")
    plugin.register_heif_opener = register
    monkeypatch.setitem(sys.modules, "pillow_heif", plugin)
    for registry in (Image.ID, Image.OPEN, Image.EXTENSION):
        monkeypatch.setattr(Image, next(k for k, v in vars(Image).items() if v is registry), type(registry)(registry))
    zsc.images._register_heif.cache_clear()
    try:
        assert ".heic" in image_suffixes()
        assert open_image(b"\0\0\0\x18ftypheic\0\0\0\0" + bytes(range(18))).size == (3, 2)
    finally:
        zsc.images._register_heif.cache_clear()


class TestUrls:
    """No message holds a login or a signature; the time is that of all together."""

    @pytest.fixture
    def serve(self):
        listeners = []

        def start(answer):
            listener = socket.create_server(("127.0.0.1", 0))
            listeners.append(listener)

            def run():
                while True:
                    try:
                        connection, _ = listener.accept()
                    except OSError:
                        return
                    threading.Thread(target=handle, args=(connection,), daemon=True).start()

            def handle(connection):
                with connection:
                    request = connection.recv(9999)
                    try:
                        for piece in answer(request):
                            connection.sendall(piece)
                    except OSError:
                        return

            threading.Thread(target=run, daemon=True).start()
            return f"http://user:secret@127.0.0.1:{listener.getsockname()[1]}/a.png?sig=secret"

        yield start
        for listener in listeners:
            listener.close()

    @pytest.mark.parametrize("where", ["body", "head"])
    def test_a_server_that_sends_a_byte_now_and_then(self, serve, where):
        def slowly(request):
            if where == "body":
                yield b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
            for byte in b"HTTP/1.1 200 OK\r\n" + b"x" * 200:
                time.sleep(0.1)
                yield bytes([byte])

        with pytest.raises(ImageError, match=r"/a\.png: could not be fetched \(timed out\)") as caught:
            open_image(serve(slowly), timeout=1)
        assert "secret" not in str(caught.value)

    def test_what_broke_off_and_what_was_refused(self, serve):
        body = encoded(picture())
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body) + 9}\r\n\r\n".encode()
        cases = [
            (lambda request: [head, body], "the connection broke off"),
            (lambda request: [b"HTTP/1.1 403 No\r\n\r\n"], "HTTP 403"),
            (lambda request: [], "the connection broke off"),
        ]
        for answer, reason in cases:
            with pytest.raises(ImageError, match=reason) as caught:
                open_image(serve(answer))
            assert "secret" not in str(caught.value)
        for url in ("http://[bad/x.png?sig=secret", "http://127.0.0.1:9/x?sig=secret", "http://a\x00/x?sig=secret"):
            with pytest.raises(ImageError, match="could not be fetched") as caught:
                open_image(url, name=url)
            assert "secret" not in str(caught.value)

    @pytest.mark.parametrize("level", ["DEBUG", "WARNING"])
    def test_a_login_is_sent_and_not_logged(self, serve, caplog, level):
        caplog.set_level(level)
        seen = []

        def answer(request):
            seen.append(request)
            return [b"HTTP/1.1 200 OK\r\n\r\n", encoded(picture())]

        assert_quarters(open_image(serve(answer)), QUARTERS)
        assert b"Authorization: Basic dXNlcjpzZWNyZXQ=" in seen[0] and "secret" not in caplog.text
