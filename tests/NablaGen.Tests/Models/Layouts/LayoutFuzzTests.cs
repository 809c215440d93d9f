using System.Text;
using NablaGen.Models;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Layouts;
using NablaGen.Tests.Weights;

namespace NablaGen.Tests.Models.Layouts;

/// <summary>Files that are almost a model: whatever is wrong with them, a line says so, and nothing else happens.</summary>
public sealed class LayoutFuzzTests : IDisposable
{
    private static readonly string[] Words =
    [
        "blocks.0.", "blocks.999999999.", "blocks.1000.", "encoder.downsamples.0.", "decoder.up_blocks.99.resnets.99.conv1", "scaled_fp8", ".scale_weight", ".weight_scale",
        ".comfy_quant", ".weight_scale_2", "F8_E4M3", "BF16", "I8", "U8", "[1,1048576]", "[0]", "[]", "[2147483648]", "[9223372036854775807]", "head.modulation", "spiece_model",
        "module.", "model.diffusion_model.", "_quantization_metadata", "shared.weight", "encoder.final_layer_norm.weight", "enc.output_norm.weight", "decoder.conv_out.weight",
    ];

    private const int DataBytes = 1 << 14;

    private readonly RawFile _raw = new();
    private int _whole;

    [Fact]
    public void A_mutated_header_is_refused_or_said_what_it_is()
    {
        var bases = new[] { Transformer(), TextEncoder(), Vae() };
        var random = new Random(4);
        var understood = 0;
        const int rounds = 1500;
        for (var round = 0; round < rounds; round++)
        {
            var header = bases[round % bases.Length];
            for (var i = 0; i <= round % 3; i++)
            {
                header = Mutated(header, random);
            }

            // The data are of whatever length the header asks for, up to a little.
            var path = _raw.Write("fuzz.safetensors", RawFile.Bytes(header, Data));
            understood += Survives(path) ? 1 : 0;
        }

        Assert.InRange(understood, 1, rounds - 100);
        Assert.InRange(_whole, 1, rounds);
    }

    [Theory]
    [InlineData("{\"weight_map\":{\"head.modulation\":\"../../secret.safetensors\"}}", "a file in the same folder")]
    [InlineData("{\"weight_map\":{\"head.modulation\":\"/etc/passwd\"}}", "a file in the same folder")]
    public void An_index_names_files_beside_it_alone(string index, string part)
    {
        var path = _raw.Write("transformer/diffusion_pytorch_model.safetensors.index.json", index);
        RawFile.Fault(() => WanVideoModel.Open(path), path, part);
    }

    [Theory]
    [InlineData("""{"model":{"vocab":[["a",1],["b"]]}}""", "entry 1")]
    [InlineData("""{"model":{"vocab":{"a":1}}}""", "\"vocab\"")]
    [InlineData("""{"model":{"type":"Unigram","vocab":[["a",1]]},"normalizer":{"type":"Precompiled","precompiled_charsmap":"*"}}""", "base64")]
    [InlineData("""{"model":{"type":"Unigram","vocab":[]}}""", "<unk>")]
    [InlineData("[]", "model")]
    [InlineData("{", "tokenizer.json")]
    public void A_tokenizer_json_that_is_none(string json, string part)
    {
        var path = _raw.Write("tokenizer.json", json);
        RawFile.Fault(() => TokenizerFile.At(path).Load(), path, part);
    }

    public void Dispose() => _raw.Dispose();

    private static byte[] Data { get; } = new byte[DataBytes];

    private bool Survives(string path)
    {
        try
        {
            var found = ModelInspector.InspectFile(path);
            // Its sizes were told, and a model of them was made.
            _whole += found.Sizes is null ? 0 : 1;
            if (found.Problem is not null)
            {
                Assert.DoesNotContain('\n', found.Problem);
            }

            return true;
        }
        catch (NablaGenException e)
        {
            Assert.DoesNotContain('\n', e.Message);
            Assert.Contains(path, e.Message, StringComparison.Ordinal);
            return false;
        }
    }

    private static string Mutated(string header, Random random)
    {
        var at = random.Next(header.Length);
        return random.Next(4) switch
        {
            // A key or value in place of another, so that much of it stays a header.
            0 => Replaced(header, random, '"'),
            1 => Replaced(header, random, '['),
            2 => header[..at] + (char)random.Next(32, 127) + header[(at + 1)..],
            _ => header.Insert(at, Words[random.Next(Words.Length)]),
        };
    }

    private static string Replaced(string header, Random random, char quote)
    {
        var start = header.IndexOf(quote, random.Next(header.Length));
        var end = start < 0 ? -1 : header.IndexOf(quote == '[' ? ']' : quote, start + 1);
        var word = Words[random.Next(Words.Length)];
        return end < 0 ? header : header[..start] + (word.StartsWith('[') ? word : $"\"{word}\"") + header[(end + 1)..];
    }

    // Sides of 1 where no size is read from them, so that all fit into little data.
    private static string Transformer() => Header(
        ("patch_embedding.weight", "F8_E4M3", [128, 16, 1, 2, 2]), ("head.modulation", "F32", [1, 1, 128]), ("head.head.weight", "F16", [64, 1]),
        ("blocks.0.ffn.0.weight", "F8_E4M3", [64, 1]), ("blocks.0.ffn.0.scale_weight", "F32", [1]), ("time_embedding.0.weight", "F16", [1, 32]),
        ("text_embedding.0.weight", "F16", [1, 64]), ("scaled_fp8", "F8_E4M3", [0]), ("blocks.0.ffn.0.scale_input", "F32", [1]));

    private static string TextEncoder() => Header(
        ("shared.weight", "F16", [8, 64]), ("encoder.final_layer_norm.weight", "F16", [64]), ("encoder.block.0.layer.0.SelfAttention.q.weight", "I8", [64, 1]),
        ("encoder.block.0.layer.0.SelfAttention.q.weight_scale", "F32", [64, 1]), ("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", "F16", [4, 4]),
        ("encoder.block.0.layer.1.DenseReluDense.wi_1.weight", "F16", [64, 1]), ("spiece_model", "U8", [3]));

    private static string Vae() => Header(
        ("decoder.head.2.weight", "F32", [3, 1]), ("conv2.weight", "F32", [16, 1]), ("encoder.conv1.weight", "F32", [8, 1]),
        ("encoder.downsamples.0.residual.6.weight", "F32", [8, 1]), ("encoder.downsamples.1.resample.1.weight", "F32", [8, 1]),
        ("encoder.downsamples.2.residual.6.weight", "F32", [16, 1]), ("filler", "U8", [1]));

    // A last tensor takes what is left of the data.
    private static string Header(params (string Name, string Type, long[] Shape)[] tensors)
    {
        var text = new StringBuilder("{");
        long offset = 0;
        foreach (var (name, type, shape) in tensors)
        {
            var size = type switch { "F32" => 4, "F16" => 2, _ => 1 };
            var end = offset + shape.Aggregate((long)size, (product, side) => product * side);
            text.Append($"\"{name}\":{{\"dtype\":\"{type}\",\"shape\":[{string.Join(',', shape)}],\"data_offsets\":[{offset},{end}]}},");
            offset = end;
        }

        return text.Append($"\"rest\":{{\"dtype\":\"U8\",\"shape\":[{DataBytes - offset}],\"data_offsets\":[{offset},{DataBytes}]}}}}").ToString();
    }
}
