using NablaGen.Weights;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tests.Weights;

public sealed class RoundTripTests : IDisposable
{
    private static readonly ScalarType[] Types =
    [
        ScalarType.Float64, ScalarType.Float32, ScalarType.Float16, ScalarType.BFloat16, ScalarType.Int64, ScalarType.Int32,
        ScalarType.Int16, ScalarType.Int8, ScalarType.Byte, ScalarType.Bool,
    ];

    private readonly RawFile _raw = new();
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<StoredType> AllTypes => [.. Types.Select(type => type.ToStoredType())];

    [Theory]
    [MemberData(nameof(AllTypes))]
    public void A_type_comes_back_as_it_went(StoredType type)
    {
        // An odd number of bytes first, so that a reader that ignored offsets would show.
        var value = Values(type.ToScalarType(), 3, 5, 7);
        var path = _raw.At("one.safetensors");
        SafetensorsWriter.Write(path, new Dictionary<string, Tensor> { ["odd"] = Values(ScalarType.Byte, 13), ["value"] = value, ["scalar"] = value[1, 2, 3] });
        using var file = SafetensorsFile.Open(path);
        Assert.Equal(type, file.Entries["value"].Type);
        Assert.Equal([3, 5, 7], file.Entries["value"].Shape);
        Same(value, file.Read("value"));
        Same(value[1, 2, 3], file.Read("scalar"));
        Same(Values(ScalarType.Byte, 13), file.Read("odd"));
        var target = zeros(3, 5, 7, dtype: value.dtype);
        file.CopyTo("value", target);
        Same(value, target);
    }

    [Fact]
    public void A_read_fills_the_memory_of_a_view_and_nothing_around_it()
    {
        var value = Values(ScalarType.BFloat16, 4, 6);
        var path = _raw.At("view.safetensors");
        SafetensorsWriter.Write(path, new Dictionary<string, Tensor> { ["value"] = value });
        using var file = SafetensorsFile.Open(path);
        var whole = full([10, 6], 9, dtype: ScalarType.BFloat16);
        file.CopyTo("value", whole.narrow(0, 3, 4));
        Same(value, whole.narrow(0, 3, 4));
        Assert.True(whole.narrow(0, 0, 3).eq(9).all().item<bool>());
        Assert.True(whole.narrow(0, 7, 3).eq(9).all().item<bool>());
    }

    [Fact]
    public void A_read_converts_and_follows_strides()
    {
        var value = Values(ScalarType.BFloat16, 4, 6);
        var path = _raw.At("strides.safetensors");
        SafetensorsWriter.Write(path, new Dictionary<string, Tensor> { ["value"] = value.t() });
        using var file = SafetensorsFile.Open(path);
        var strided = zeros(4, 6, dtype: ScalarType.Float32);
        file.CopyTo("value", strided.t());
        Same(value.to(ScalarType.Float32), strided);
        var sameType = zeros(4, 6, dtype: ScalarType.BFloat16);
        file.CopyTo("value", sameType.t());
        Same(value, sameType);
    }

    [Theory]
    [InlineData(ScalarType.Float32, 5_000_001)]
    [InlineData(ScalarType.BFloat16, 9_000_001)]
    [InlineData(ScalarType.Float64, 3_000_001)]
    public void A_tensor_of_several_pieces_comes_back_whole(ScalarType type, long count)
    {
        var value = arange(count, dtype: ScalarType.Float64).mul(0.001).sin().to(type);
        var path = _raw.At("long.safetensors");
        SafetensorsWriter.Write(path, new Dictionary<string, Tensor> { ["first"] = ones(3), ["value"] = value });
        using var file = SafetensorsFile.Open(path);
        Same(value, file.Read("value"));
        foreach (var other in new[] { ScalarType.Float16, ScalarType.BFloat16, ScalarType.Float32 })
        {
            var target = zeros(count, dtype: other);
            file.CopyTo("value", target);
            Same(value.to(other), target);
        }
    }

    [Fact]
    public void Empty_tensors_and_notes_come_back()
    {
        var path = _raw.At("empty.safetensors");
        SafetensorsWriter.Write(
            path,
            new Dictionary<string, Tensor> { ["none"] = zeros(0, 4), ["日本 \"x\""] = ones(2) },
            new Dictionary<string, string> { ["note"] = "line one\nline two", ["日本"] = "é" });
        using var file = SafetensorsFile.Open(path);
        Assert.Equal([0, 4], file.Read("none").shape);
        Same(ones(2), file.Read("日本 \"x\""));
        Assert.Equal("line one\nline two", file.Metadata["note"]);
        Assert.Equal("é", file.Metadata["日本"]);
        Assert.False(File.Exists(path + ".partial"));
        Assert.All(file.Entries.Values, entry => Assert.Equal(0, entry.Offset % entry.Type.Size()));
    }

    [Fact]
    public void Another_source_is_converted_tensor_by_tensor()
    {
        var data = Enumerable.Range(0, 256).Select(code => (byte)code).ToArray();
        var eight = _raw.Write("eight.safetensors", RawFile.Bytes("""{"w":{"dtype":"F8_E4M3","shape":[256],"data_offsets":[0,256]}}""", data));
        var path = _raw.At("converted.safetensors");
        using var source = SafetensorsFile.Open(eight);
        SafetensorsWriter.Write(path, source);
        using var file = SafetensorsFile.Open(path);
        Assert.Equal(StoredType.BF16, file.Entries["w"].Type);
        Assert.Equal(Bits(source.Read("w")), Bits(file.Read("w")));
    }

    [Fact]
    public void A_failed_write_leaves_the_old_file_and_no_partial_one()
    {
        var path = _raw.Write("old.safetensors", "old");
        RawFile.Fault(
            () => SafetensorsWriter.Write(path, [KeyValuePair.Create("twice", ones(1)), KeyValuePair.Create("twice", ones(1))]),
            path, "\"twice\"");
        RawFile.Fault(() => SafetensorsWriter.Write(path, [KeyValuePair.Create("c", zeros(1, dtype: ScalarType.ComplexFloat32))]), "ComplexFloat32");
        Assert.Equal("old", File.ReadAllText(path));
        Assert.Equal([path], Directory.GetFiles(_raw.Folder));
    }

    public void Dispose()
    {
        _scope.Dispose();
        _raw.Dispose();
    }

    private static Tensor Values(ScalarType type, params long[] shape)
    {
        var count = shape.Aggregate(1L, (a, b) => a * b);
        var numbers = arange(count, dtype: ScalarType.Float32).sub(count / 2).mul(type == ScalarType.Byte ? 0 : 1);
        return (type == ScalarType.Byte ? arange(count) : type == ScalarType.Bool ? numbers.remainder(3).eq(0) : numbers.mul(0.37)).to(type).reshape(shape);
    }

    private static void Same(Tensor expected, Tensor found)
    {
        Assert.Equal(expected.dtype, found.dtype);
        Assert.Equal(expected.shape, found.shape);
        Assert.True(expected.eq(found).all().item<bool>());
    }

    private static byte[] Bits(Tensor tensor) => tensor.contiguous().bytes.ToArray();
}
