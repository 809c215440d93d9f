using System.Text;
using System.Text.Json;
using NablaGen.Weights;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tests.Weights;

public sealed class ScaledSourceTests : IDisposable
{
    // 1.5, -2, 448 and the smallest subnormal in E4M3.
    private static readonly byte[] Codes = [0x3C, 0xC0, 0x7E, 0x01];
    private static readonly float[] Values = [1.5f, -2, 448, 0.001953125f];

    private readonly RawFile _raw = new();
    private readonly DisposeScope _scope = NewDisposeScope();

    [Theory]
    [InlineData("F32", "[]")]
    [InlineData("F32", "[1]")]
    [InlineData("BF16", "[]")]
    [InlineData("F16", "[1, 1]")]
    public void A_scale_of_a_tensor_is_applied_in_float32(string type, string shape)
    {
        using var source = Open(("l.scaled_fp8", "F8_E4M3", "[2]", [0, 0]), Weight(), ("l.scale_weight", type, shape, Scalar(type, 0.375f)), ("l.scale_input", "F32", "[]", Scalar("F32", 9)));
        Assert.Equal(["l.weight"], source.Entries.Keys);
        Assert.Equal(StoredType.F32, source.Entries["l.weight"].Type);
        Assert.Contains("F8_E4M3", source.Entries["l.weight"].Format, StringComparison.Ordinal);
        Assert.Equal(Values.Select(value => value * 0.375f), Read(source, ScalarType.Float32));
        // Rounded once.
        Assert.Equal(tensor(Values.Select(value => value * 0.375f).ToArray()).to_type(ScalarType.BFloat16).to_type(ScalarType.Float32).data<float>().ToArray(), Read(source, ScalarType.BFloat16));
    }

    [Theory]
    [InlineData("weight_scale", "[2, 1]")]
    [InlineData("weight_scale", "[2]")]
    [InlineData("scale_weight", "[2]")]
    public void A_scale_a_row_is_applied(string name, string shape)
    {
        using var source = Open(Weight(), ("l." + name, "F32", shape, [.. Scalar("F32", 2), .. Scalar("F32", 0.1f)]));
        Assert.Equal([3, -4, 448 * 0.1f, 0.001953125f * 0.1f], Read(source, ScalarType.Float32));
    }

    [Fact]
    public void Eight_bit_integers_are_scaled()
    {
        using var source = Open(("l.weight", "I8", "[2, 2]", [127, 128, 1, 255]), ("l.weight_scale", "F32", "[2, 1]", [.. Scalar("F32", 0.5f), .. Scalar("F32", 3)]));
        Assert.Equal([63.5f, -64, 3, -3], Read(source, ScalarType.Float32));
    }

    [Fact]
    public void Many_rows_are_scaled_a_piece_at_a_time()
    {
        const int rows = 2100, columns = 1024;
        var codes = new byte[rows * columns];
        codes.AsSpan().Fill(0x38);
        var scales = Enumerable.Range(0, rows).SelectMany(row => Scalar("F32", row)).ToArray();
        using var source = Open(("l.weight", "F8_E4M3", $"[{rows}, {columns}]", codes), ("l.weight_scale", "F32", $"[{rows}, 1]", scales));
        Assert.True(source.Read("l.weight").eq(arange(rows, dtype: ScalarType.Float32).unsqueeze(1)).all().item<bool>());
    }

    [Theory]
    [InlineData("""{"format":"float8_e4m3fn"}""")]
    [InlineData("""{"format":"float8_e4m3fn","full_precision_matrix_mult":true,"convrot":false}""")]
    public void A_layers_note_is_read(string note)
    {
        using var source = Open(Weight(), ("l.weight_scale", "F32", "[]", Scalar("F32", 2)), Note(note));
        Assert.Equal(Values.Select(value => value * 2), Read(source, ScalarType.Float32));
    }

    [Theory]
    [InlineData("""{"format":"nvfp4"}""", "\"nvfp4\"")]
    [InlineData("""{"format":"mxfp8"}""", "\"mxfp8\"")]
    [InlineData("""{"format":"float8_e4m3fn","convrot":true}""", "\"convrot\"")]
    [InlineData("""{"format":"float8_e4m3fn","group":16}""", "\"group\"")]
    [InlineData("""{"format":"float8_e5m2"}""", "said to be F8_E5M2, found F8_E4M3")]
    [InlineData("""{"type":1}""", "\"type\"")]
    [InlineData("""[]""", "expected an object")]
    [InlineData("""{""", "comfy_quant")]
    public void A_note_that_is_not_understood_is_named(string note, string part)
    {
        var path = Write(Weight(), ("l.weight_scale", "F32", "[]", Scalar("F32", 2)), Note(note));
        RawFile.Fault(() => Open(path), path, part);
    }

    [Theory]
    [InlineData("weight_scale_2", "F32", "[]", 4, "nvfp4")]
    [InlineData("scale_weight_2", "F32", "[]", 4, "nvfp4")]
    [InlineData("pre_quant_scale", "F32", "[2]", 8, "number format")]
    [InlineData("int8_weight", "I8", "[4]", 4, "TurboDiffusion")]
    [InlineData("weight._data", "I8", "[4]", 4, "quanto")]
    [InlineData("weight_scale", "F8_E4M3", "[2, 1]", 2, "nvfp4")]
    [InlineData("weight_scale", "F32", "[2, 2]", 16, "one scale, or one a row")]
    [InlineData("input_scale", "F32", "[2]", 8, "number format")]
    public void A_companion_that_is_not_understood_is_named(string name, string type, string shape, int bytes, string part)
    {
        var path = Write(Weight(), ("l." + name, type, shape, new byte[bytes]));
        RawFile.Fault(() => Open(path), path, $"\"l.{name}\"", part);
    }

    [Fact]
    public void Scales_must_belong_to_a_weight_in_eight_bits_and_be_one()
    {
        var scale = ("l.weight_scale", "F32", "[]", Scalar("F32", 2));
        RawFile.Fault(() => Open(Write(scale)), "\"l.weight_scale\"", "not there");
        RawFile.Fault(() => Open(Write(("l.weight", "F16", "[1]", [0, 0]), scale)), "\"l.weight_scale\"", "is F16");
        RawFile.Fault(() => Open(Write(Weight(), scale, ("l.scale_weight", "F32", "[]", Scalar("F32", 2)))), "second scale");
        RawFile.Fault(
            () => Open(Write(("b.0.l.weight", "F8_E4M3", "[1, 1]", [0]), ("b.0.l.weight_scale", "F32", "[]", Scalar("F32", 2)), ("b.1.l.weight", "F8_E4M3", "[1, 1]", [0]))),
            "\"b.1.l.weight\"", "without a scale");
        // Cast as it is: no layer's has a scale.
        using (var cast = Open(Weight(), scale, ("m.weight", "F8_E4M3", "[1, 1]", [0x3C])))
        {
            Assert.Equal(1.5f, cast.Read("m.weight").to_type(ScalarType.Float32).item<float>());
        }

        using var source = Open(Weight(), ("l.weight_scale", "F32", "[]", Scalar("F32", float.NaN)));
        RawFile.Fault(() => source.Read("l.weight"), "\"l.weight_scale\"", "finite");
    }

    [Fact]
    public void The_files_notes_are_read()
    {
        (string, string, string, byte[])[] tensors = [Weight(), ("l.weight_scale", "F32", "[]", Scalar("F32", 2))];
        using (var source = Open(Write("""{"layers":{"l":{"format":"float8_e4m3fn"}}}""", tensors)))
        {
            Assert.Equal(3, source.Read("l.weight")[0, 0].item<float>());
        }

        RawFile.Fault(() => Open(Write("""{"layers":{"l":{"format":"nvfp4"}}}""", tensors)), "layer \"l\"", "\"nvfp4\"");
        RawFile.Fault(() => Open(Write("""{"layers":{"m":{"format":"float8_e4m3fn"}}}""", tensors)), "layer \"m\"", "found 0");
        RawFile.Fault(() => Open(Write("""{}""", tensors)), "expected an object with \"layers\"");
        RawFile.Fault(() => Open(Write("""{"layers":{"l":{"format":"float8_e4m3fn"}}}""", [Weight()])), "\"l.weight\"", "no scale");
    }

    [Fact]
    public void A_plain_file_stays_as_it_is()
    {
        using var plain = SafetensorsFile.Open(Write(Weight()));
        Assert.Same(plain, ScaledSource.Over(plain));
    }

    public void Dispose()
    {
        _scope.Dispose();
        _raw.Dispose();
    }

    private static (string, string, string, byte[]) Weight() => ("l.weight", "F8_E4M3", "[2, 2]", Codes);

    private static (string, string, string, byte[]) Note(string json) => ("l.comfy_quant", "U8", $"[{Encoding.UTF8.GetByteCount(json)}]", Encoding.UTF8.GetBytes(json));

    private static byte[] Scalar(string type, float value) => type switch
    {
        "F32" => BitConverter.GetBytes(value),
        "F16" => BitConverter.GetBytes((Half)value),
        _ => BitConverter.GetBytes(value)[2..],
    };

    private static float[] Read(ITensorSource source, ScalarType type)
    {
        var target = zeros(source.Entries["l.weight"].Shape, dtype: type);
        source.CopyTo("l.weight", target);
        return target.to_type(ScalarType.Float32).data<float>().ToArray();
    }

    private static ITensorSource Open(string path)
    {
        var file = SafetensorsFile.Open(path);
        try
        {
            return ScaledSource.Over(file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private ITensorSource Open(params (string Name, string Type, string Shape, byte[] Data)[] tensors) => Open(Write(tensors));

    private string Write(params (string Name, string Type, string Shape, byte[] Data)[] tensors) => Write(null, tensors);

    private string Write(string? note, (string Name, string Type, string Shape, byte[] Data)[] tensors)
    {
        var offset = 0;
        var entries = tensors.Select(tensor =>
            $"\"{tensor.Name}\":{{\"dtype\":\"{tensor.Type}\",\"shape\":{tensor.Shape},\"data_offsets\":[{offset},{offset += tensor.Data.Length}]}}").ToList();
        if (note is not null)
        {
            entries.Add($"\"__metadata__\":{{\"_quantization_metadata\":{JsonSerializer.Serialize(note)}}}");
        }

        return _raw.Write($"{Guid.NewGuid():N}.safetensors", RawFile.Bytes($"{{{string.Join(',', entries)}}}", [.. tensors.SelectMany(tensor => tensor.Data)]));
    }
}
