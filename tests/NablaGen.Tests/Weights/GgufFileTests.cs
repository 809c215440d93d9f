using NablaGen.Weights.Gguf;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tests.Weights;

public sealed class GgufFileTests : IDisposable
{
    private readonly RawFile _raw = new();
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string> Types()
    {
        using var golden = Golden.Open("checkpoints/gguf-blocks");
        return new TheoryData<string>(golden.Names.Where(name => name.EndsWith(".bytes")).Select(name => name[..^".bytes".Length]).Order());
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Rows_of_each_type_have_the_bits_of_ggml(string type)
    {
        using var golden = Golden.Open("checkpoints/gguf-blocks");
        var expected = golden[type + ".values"];
        var path = _raw.Write("rows.gguf", new GgufBytes().Tensor("rows", GgufBytes.Type(type), expected.shape, golden[type + ".bytes"].data<byte>().ToArray()).ToArray());
        using var file = GgufFile.Open(path);
        Assert.Equal(type, file.Entries["rows"].Format);
        var read = file.Read("rows").to_type(ScalarType.Float32);
        Assert.Equal(Bits(expected), Bits(read));

        // Straight into another type: rounded once, from float32.
        var half = zeros(expected.shape, dtype: ScalarType.BFloat16);
        file.CopyTo("rows", half);
        Assert.True(half.eq(expected.to_type(ScalarType.BFloat16)).all().item<bool>());
    }

    [Fact]
    public void More_blocks_than_a_piece_are_read()
    {
        // 9 MiB of float32: two pieces.
        using var golden = Golden.Open("checkpoints/gguf-blocks");
        var row = golden["Q4_K.bytes"].data<byte>().ToArray();
        var expected = golden["Q4_K.values"];
        var rows = (int)(2_400_000 / expected.numel());
        var path = _raw.Write("many.gguf", new GgufBytes()
            .Tensor("w", GgufBytes.Type("Q4_K"), [expected.shape[0] * rows, expected.shape[1]], [.. Enumerable.Repeat(row, rows).SelectMany(bytes => bytes)]).ToArray());
        using var file = GgufFile.Open(path);
        Assert.True(file.Read("w").eq(expected.repeat(rows, 1)).all().item<bool>());
    }

    [Fact]
    public void A_whole_file_has_its_keys_and_five_sides()
    {
        using var file = GgufFile.Open(Path.Combine(GoldenFolder.Path, "checkpoints", "wan-Q4_K_M.gguf"));
        Assert.Equal("wan", file.Metadata["general.architecture"]);
        Assert.Equal(5, file.Entries["patch_embedding.weight"].Shape.Length);
        Assert.Equal(3, file.Entries["blocks.0.modulation"].Shape.Length);
        Assert.Contains(file.Entries.Values, entry => entry.Format == "Q6_K");
        Assert.All(file.Entries.Values, entry => Assert.Equal(ScalarType.Float32, file.Read(entry.Name).dtype));
    }

    [Fact]
    public void A_type_that_cannot_be_read_is_named() =>
        Fails(new GgufBytes().Tensor("w", 39, [32], new byte[17]).ToArray(), "\"w\"", "MXFP4 (39)", "expected one of F32");

    [Fact]
    public void A_row_that_is_no_whole_blocks() => Fails(new GgufBytes().Tensor("w", 2, [2, 48], new byte[54]).ToArray(), "\"w\"", "[2, 48]", "a multiple of 32");

    [Fact]
    public void Another_version() => Fails(new GgufBytes { Version = 1 }.ToArray(), "its version is 1, expected 2 or 3");

    [Fact]
    public void Not_a_gguf() => Fails("not a gguf file at all, is it?"u8.ToArray(), "expected it to begin with GGUF");

    [Fact]
    public void A_count_that_the_file_cannot_hold()
    {
        var bytes = new GgufBytes().ToArray();
        bytes[8 + 6] = 0x40;
        Fails(bytes, "the list of tensors", "more than the file can hold");
    }

    [Fact]
    public void Truncated_data() => Fails(new GgufBytes().Tensor("w", 0, [64], new byte[256]).ToArray()[..^1], "truncated in tensor \"w\"");

    [Fact]
    public void No_damage_does_more_than_fail()
    {
        var random = new Random(3);
        using var golden = Golden.Open("checkpoints/gguf-blocks");
        var whole = new GgufBytes().Key("general.architecture", "wan").Key("general.alignment", 32u).Key("tokenizer.ggml.tokens", new[] { "a", "bc", "" })
            .Key("tokenizer.ggml.scores", new[] { 0.5f, 1, 2 })
            .Tensor("a", GgufBytes.Type("Q4_K"), [1, 1, golden["rows"].shape[0], golden["rows"].shape[1]], golden["Q4_K.bytes"].data<byte>().ToArray())
            .Tensor("b", GgufBytes.Type("Q8_0"), golden["rows"].shape, golden["Q8_0.bytes"].data<byte>().ToArray())
            .Tensor("c", 0, [3], new byte[12]).ToArray();
        var opened = 0;
        var memory = GC.GetTotalAllocatedBytes();
        const int rounds = 3000;
        for (var round = 0; round < rounds; round++)
        {
            var bytes = (byte[])whole.Clone();
            if (round % 5 == 0)
            {
                bytes = bytes[..random.Next(bytes.Length)];
            }
            else
            {
                // The head is short and has all that can go wrong.
                for (var i = 0; i <= round % 4; i++)
                {
                    bytes[random.Next(Math.Min(400, bytes.Length))] = (byte)(round % 3 == 0 ? 255 : random.Next(256));
                }
            }

            opened += Survives(_raw.Write("fuzz.gguf", bytes)) ? 1 : 0;
        }

        Assert.InRange(opened, 1, rounds - 500);
        // No file of 6 kB makes us allocate much more than its size and our buffer.
        Assert.InRange((GC.GetTotalAllocatedBytes() - memory) / rounds, 0, 1 << 20);
    }

    public void Dispose()
    {
        _scope.Dispose();
        _raw.Dispose();
    }

    private static int[] Bits(Tensor values) => [.. values.data<float>().ToArray().Select(BitConverter.SingleToInt32Bits)];

    private static bool Survives(string path)
    {
        try
        {
            using var file = GgufFile.Open(path);
            foreach (var (name, entry) in file.Entries)
            {
                using var value = file.Read(name);
                Assert.Equal(entry.Shape, value.shape);
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

    private void Fails(byte[] bytes, params string[] parts)
    {
        var path = _raw.Write("bad.gguf", bytes);
        RawFile.Fault(() => GgufFile.Open(path).Dispose(), [path, .. parts]);
    }
}
