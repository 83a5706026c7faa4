"""Any encoder: found by name without a download, safe in threads, copied and sent, told apart by its fingerprint."""

import copy
import dataclasses
import json
import logging
import multiprocessing
import pickle
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor

import huggingface_hub.constants
import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from servers import FileServer

import benchmarks.checkpoints  # noqa: F401  a spawned process imports this module, and needs its stand-in of pkg_resources
import zsc
from zsc.models import as_encoder, openai_clip, weights
from zsc.models.base import EXACT_FLOAT32
from zsc.models.tokens import LITERALS, as_byte_pairs
from zsc.models.transforms import LibraryTransform
from zsc.models.weights import WeightsError

TEXTS = ["a photo of a cat", "a lion, in the savanna", "glasses"]
KINDS = ["toy", "openvino", "conse", "hf", "open_clip"]


@pytest.fixture(scope="module")
def open_clip_weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("oc") / "random.pt"
    torch.manual_seed(1)
    torch.save(open_clip.create_model("ViT-S-32-alt").state_dict(), path)
    return path


@pytest.fixture(scope="module", params=KINDS)
def encoder(request, small_hf_folder, open_clip_weights):
    if request.param == "conse":
        return request.getfixturevalue("conse")
    if request.param == "openvino":
        pytest.importorskip("openvino")
        return zsc.load_model("toy", device="cpu", engine="openvino")
    names = {"hf": f"hf:{small_hf_folder}", "open_clip": f"open_clip:ViT-S-32-alt/{open_clip_weights}"}
    return zsc.load_model(names.get(request.param, request.param), device="cpu")


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (70, 90, 3), dtype=np.uint8)) for _ in range(4)]


def embed(encoder, pictures):
    """What a spawned process does with the encoder that it was sent."""
    return encoder.encode_images(pictures), encoder.encode_texts(TEXTS), encoder.fingerprint


@pytest.mark.slow
class TestState:
    def test_threads_get_their_own_pictures_and_texts(self, encoder, pictures):
        images = [encoder.encode_images([p]) for p in pictures]
        texts = [encoder.encode_texts([t, t + " again"]) for t in TEXTS]
        wrong = []

        def work(k):
            try:
                for _ in range(20 if encoder.name == "toy" else 5):
                    if np.abs(encoder.encode_images([pictures[k]]) - images[k]).max() > 1e-5:
                        wrong.append(k)
                    t = k % len(TEXTS)
                    if np.abs(encoder.encode_texts([TEXTS[t], TEXTS[t] + " again"]) - texts[t]).max() > 1e-5:
                        wrong.append(f"text {t}")
                    encoder.tokenizer.kept("a very long text " * 100)
            except Exception as error:
                wrong.append(error)

        threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong

    def test_copied_and_pickled(self, encoder, pictures):
        images, texts, fingerprint = embed(encoder, pictures)
        for other in (copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder)), copy.copy(encoder)):
            assert type(other) is type(encoder) and other.info == encoder.info and other.fingerprint == fingerprint
            np.testing.assert_allclose(other.encode_images(pictures), images, atol=1e-6)
            np.testing.assert_allclose(other.encode_texts(TEXTS), texts, atol=1e-6)

    def test_a_copy_is_another(self, pictures):
        one = zsc.load_model("toy", device="cpu")
        before = one.encode_texts(TEXTS)
        other = copy.deepcopy(one)
        with torch.no_grad():
            for parameter in other.text_encoder.parameters():
                parameter.zero_()
        other.text_encoder.norm_out.bias.data += 1
        np.testing.assert_array_equal(one.encode_texts(TEXTS), before)

    def test_sent_to_a_spawned_process(self, encoder, pictures):
        images, texts, fingerprint = embed(encoder, pictures)
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            theirs = pool.submit(embed, encoder, pictures).result()
        np.testing.assert_allclose(theirs[0], images, atol=1e-5)
        np.testing.assert_allclose(theirs[1], texts, atol=1e-5)
        assert theirs[2] == fingerprint


class TestNames:
    @pytest.mark.slow
    def test_auto_is_the_command_lines_and_downloads_nothing(self, monkeypatch, tmp_path, caplog):
        monkeypatch.setenv("ZSC_WEIGHTS", str(tmp_path))
        with caplog.at_level(logging.INFO, logger="zsc"):
            assert zsc.load_model("auto", device="cpu").name == "conse"
        assert "the model is conse: OpenAI's ViT-B/32 is not on this machine" in caplog.text
        assert zsc.ZeroShotClassifier(["a cat", "a dog"]).model.name == "conse"
        assert not list(tmp_path.iterdir())

    def test_one_way_from_a_name_to_an_encoder(self, colours):
        assert as_encoder(colours) is colours
        assert as_encoder("toy").info.weights_sha256 == as_encoder(openai_clip.TOY).info.weights_sha256
        for wrong in (5, None, ["toy"], object()):
            with pytest.raises(TypeError, match="pass an encoder"):
                as_encoder(wrong)

    @pytest.mark.parametrize("name", ["", "vit-b/32", "ViT-B/32 ", "x" * 5000, "a\x1b[31m\0", None, 5, b"toy"])
    def test_what_is_no_model_is_told_in_one_sentence(self, name):
        with pytest.raises(ValueError, match="no model .*; a model must be one of auto, RN50, RN101") as caught:
            zsc.load_model(name)
        assert len(str(caught.value)) < 500 and str(caught.value).isprintable()

    def test_the_table_says_what_the_models_say(self, conse):
        table = zsc.models.model_table().set_index("model")
        assert list(table.index) == zsc.available_models() and table.loc["RN50", "imagenet_published"] == 0.5982
        for model in (conse, zsc.load_model("toy", device="cpu")):
            row = table.loc[model.name]
            assert (row["embed_dim"], row["image_size"], row["weights"]) == (
                model.embed_dim,
                model.image_size,
                "installed",
            )
            assert model.encode_texts("x").shape == (1, model.embed_dim)


class TestTexts:
    @pytest.mark.parametrize("texts", [{"a", "b"}, {"a": 1}, 5, None])
    def test_without_an_order_they_are_refused(self, colours, texts):
        with pytest.raises(TypeError, match="pass a list of texts"):
            colours.encode_texts(texts)

    def test_half_characters_and_numbers_are_refused(self, colours):
        with pytest.raises(ValueError, match="text 1, .*UTF-8"):
            colours.encode_texts(["red", "blue \ud83d"])
        with pytest.raises(TypeError, match="text 0 is the float nan"):
            colours.encode_texts([float("nan")])
        with pytest.raises(ValueError, match="batch_size=0"):
            colours.encode_images([], batch_size=0)
        assert colours.encode_pixels([]).shape == (0, 3)

    @pytest.mark.parametrize(
        "text",
        [
            "a <|endoftext|> b",
            "<|STARTOFTEXT|>dog",
            "a <end_of_text> b",
            "<start_of_text>",
            "<|endoftext|",
            "|end_of_text|",
        ],
    )
    def test_the_literals_of_the_ends_are_read_as_openai_reads_them(self, text):
        clip = pytest.importorskip("clip")
        tokenizer = as_byte_pairs(open_clip.tokenizer.SimpleTokenizer(context_length=77), LITERALS)
        assert torch.equal(tokenizer([text]), clip.tokenize([text]))
        assert tokenizer.kept("dog <|endoftext|> cat").replace(" ", "") == "dog<|endoftext|>cat"


class TestFingerprints:
    def test_architecture_and_transform_are_in_it(self, colours):
        for change in ({"architecture": "GELU"}, {"library": "x"}, {"precision": "float16"}, {"weights_sha256": "x"}):
            other = copy.copy(colours)
            other.info = dataclasses.replace(colours.info, **change)
            assert other.fingerprint != colours.fingerprint, change

    def test_the_rules_by_which_pictures_are_opened_are_in_it(self, colours, monkeypatch):
        before = copy.copy(colours).fingerprint
        monkeypatch.setattr("zsc.models.base.RULES", "other")
        assert colours.fingerprint != before

    def test_it_does_not_hang_on_where_a_function_lies_in_memory(self, colours):
        found = set()
        for transform in [LibraryTransform(lambda picture: picture) for _ in range(3)]:
            assert " at 0x" in repr(transform)
            colours.transform = transform
            found.add(colours.fingerprint)
        assert len(found) == 1

    def test_the_same_weights_with_another_activation_are_another_model(self, tmp_path, pictures):
        vision = {"image_size": 32, "layers": 2, "width": 64, "patch_size": 16}
        text = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1}
        for name, quick in (("tiny-clip", False), ("tiny-clip-quickgelu", True)):
            config = {"embed_dim": 32, "vision_cfg": vision, "text_cfg": text, "quick_gelu": quick}
            (tmp_path / f"{name}.json").write_text(json.dumps(config))
            open_clip.add_model_config(tmp_path / f"{name}.json")
        torch.save(open_clip.create_model("tiny-clip").state_dict(), tmp_path / "w.pt")
        names = [f"open_clip:{arch}/{tmp_path}/w.pt" for arch in ("tiny-clip", "tiny-clip-quickgelu")]
        one, other = (zsc.load_model(name, device="cpu") for name in names)
        assert one.info.weights_sha256 == other.info.weights_sha256
        assert np.abs(one.encode_images(pictures) - other.encode_images(pictures)).max() > 1e-4
        assert one.fingerprint != other.fingerprint


@pytest.mark.slow
class TestNetwork:
    """The hub is asked for nothing that is here, and for little where it does not answer."""

    @pytest.fixture
    def online(self, monkeypatch):
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        attempts, connect = [], socket.socket.connect

        def counted(self, address):
            attempts.append(address)
            return connect(self, address)

        monkeypatch.setattr(socket.socket, "connect", counted)
        return attempts

    def test_what_is_here_asks_for_nothing(self, online, small_hf_folder, open_clip_weights, capfd):
        zsc.load_model("conse", device="cpu")
        zsc.load_model(f"hf:{small_hf_folder}", device="cpu")
        zsc.load_model(f"open_clip:ViT-S-32-alt/{open_clip_weights}", device="cpu")
        assert not online and capfd.readouterr() == ("", "")

    @pytest.mark.parametrize(
        "name",
        [
            "hf:nobody/nothing",
            "open_clip:ViT-B-32/laion2b_s34b_b79k",
            "open_clip:ViT-B-16-SigLIP/webli",
            "open_clip:hf-hub:nobody/nothing",
        ],
    )
    def test_an_absent_network_is_one_sentence(self, name, online, capfd, caplog, tmp_path, monkeypatch):
        with pytest.raises(
            WeightsError, match="not on this machine as a whole .*no network.*Two ways on: .*conse"
        ) as caught:
            zsc.load_model(name, device="cpu")
        assert "\n" not in str(caught.value) and len(online) <= 4
        assert capfd.readouterr() == ("", "") and "Retrying" not in caplog.text

    @pytest.mark.parametrize("arch", ["ViT-B-16-SigLIP", "ViT-B-16-SigLIP2", "xlm-roberta-base-ViT-B-32"])
    def test_a_tokenizer_that_is_not_here(self, arch, online, tmp_path, monkeypatch):
        """With the weights' file at hand it is the tokenizer that is missing: it is named, within 3 seconds."""
        (tmp_path / "weights.pt").write_bytes(b"never read")
        zsc.load_model("toy", device="cpu")  # the libraries are imported
        gone = threading.Event()

        def silent(*_, **__):  # a hub that does not answer
            gone.wait(30)
            raise weights.requests.ConnectionError

        monkeypatch.setattr(weights.requests, "head", silent)
        start = time.monotonic()
        with pytest.raises(WeightsError, match="did not answer within 3 s.*copy its tokenizer, the hub's ") as caught:
            zsc.load_model(f"open_clip:{arch}/{tmp_path / 'weights.pt'}", device="cpu")
        taken = time.monotonic() - start
        gone.set()
        assert open_clip.get_model_config(arch)["text_cfg"]["hf_tokenizer_name"] in str(caught.value)
        assert taken < weights.PATIENCE + 1

    @pytest.mark.parametrize("behaviour", ["silent", "busy"])
    def test_a_hub_that_does_not_answer(self, behaviour, online, monkeypatch):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            busy = FileServer() if behaviour == "busy" else None
            url = busy.url if busy else f"http://127.0.0.1:{silent.getsockname()[1]}"
            monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", url.rstrip("/"))
            monkeypatch.setattr(weights, "PATIENCE", 0.5)
            start = time.monotonic()
            with pytest.raises(WeightsError, match="did not answer|no network|answers 501"):
                zsc.load_model("hf:nobody/nothing", device="cpu")
            if busy:
                busy.close()
        assert time.monotonic() - start < 30  # 46 s of retries is what this is about

    def test_the_users_wish_to_stay_offline_is_kept(self, monkeypatch):
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        monkeypatch.setattr(weights.requests, "head", lambda *a, **k: pytest.fail("the network was asked"))
        with pytest.raises(WeightsError, match="HF_HUB_OFFLINE"):
            zsc.load_model("hf:nobody/nothing", device="cpu")
        assert huggingface_hub.constants.HF_HUB_OFFLINE is True

    def test_what_is_switched_off_is_on_again(self):
        before = huggingface_hub.constants.HF_HUB_OFFLINE, len(logging.getLogger().handlers)
        with pytest.raises(KeyError), weights.quiet(offline=True):
            raise KeyError
        assert before == (huggingface_hub.constants.HF_HUB_OFFLINE, len(logging.getLogger().handlers))


@pytest.mark.slow
def test_loading_says_nothing(open_clip_weights):
    """In a process of its own: libraries print and warn when they are first imported, too."""
    names = ("toy", "conse", f"open_clip:ViT-S-32-alt/{open_clip_weights}")
    code = f"import zsc; [zsc.load_model(name, device='cpu') for name in {names}]"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_float32_is_not_rounded_to_tf32(colours, monkeypatch):
    """torch lets a GPU round float32 convolutions; while an encoder works it does not, and then as the user has it."""
    seen = []
    embed = colours.embed_pixels

    def nested(pixels):
        with EXACT_FLOAT32:  # another thread that leaves first
            pass
        seen.append((torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32))
        return embed(pixels)

    monkeypatch.setattr(colours, "embed_pixels", nested)
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    assert before[0]  # torch's default, which the test is about
    colours.encode_images([Image.new("RGB", (8, 8), "red")])
    assert seen == [(False, False)]
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == before
