"""Every awkward file is opened upright and right, or refused in one sentence."""

import io
import struct
import threading
import zlib
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
from PIL import Image

from zsc.images import ImageError, open_image

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


def test_there_are_enough_awkward_files():
    assert len(OPENED) + len(REFUSED) >= 25


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")  # Pillow says so, and the picture is intact
@pytest.mark.parametrize("name", OPENED)
def test_opened_upright_and_right(name, tmp_path):
    make, expected, tolerance = OPENED[name]
    make(tmp_path / name)
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


def test_transparent_over_a_stated_colour(tmp_path):
    path = rgba(tmp_path / "a.png")
    assert open_image(path, background="black").getpixel((3, 3)) == (0, 0, 0)
    assert open_image(path).getpixel((3, 3)) == (255, 255, 255)


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


def test_a_background_that_is_no_colour():
    with pytest.raises(ValueError, match="background='nocolour' is no colour"):
        open_image(picture(), background="nocolour")
