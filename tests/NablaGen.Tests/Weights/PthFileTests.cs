using System.IO.Compression;
using NablaGen.Weights;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tests.Weights;

public sealed class PthFileTests : IDisposable
{
    private readonly RawFile _raw = new();
    private readonly DisposeScope _scope = NewDisposeScope();

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void A_file_by_python_is_read(int protocol)
    {
        var path = _raw.Write("m.pth", protocol == 2 ? PthFixtures.Protocol2 : PthFixtures.Protocol4);
        using var file = PthFile.Open(path);
        Assert.Equal(["blocks.0.weight", "blocks.0.bias", "tail", "step"], file.Entries.Keys);
        var weight = file.Read("blocks.0.weight");
        Assert.Equal(ScalarType.BFloat16, weight.dtype);
        Assert.Equal([2, 3], weight.shape);
        Assert.Equal([1, -2, 3, 4, 5, 9.18354962e-41f], weight.to(ScalarType.Float32).data<float>().ToArray());
        Assert.Equal([1, 4], file.Entries["blocks.0.bias"].Shape);
        Assert.Equal([1, 1.5f, 2, 2.5f], file.Read("blocks.0.bias").data<float>().ToArray());
        Assert.Equal([3, 3.5f], file.Read("tail").data<float>().ToArray());
        Assert.Equal(-7, file.Read("step").item<long>());
        var target = zeros(2, 3, dtype: ScalarType.Float32);
        file.CopyTo("blocks.0.weight", target);
        Assert.Equal(-2, target[0, 1].item<float>());
    }

    [Theory]
    [InlineData(CompressionLevel.NoCompression)]
    [InlineData(CompressionLevel.Fastest)]
    public void A_large_storage_is_read_from_any_offset(CompressionLevel compression)
    {
        // More than the reader's buffer, so that both skipping and reading take several rounds.
        var bytes = new byte[3_000_000];
        new Random(1).NextBytes(bytes);
        var pickle = new PickleBuilder().Op("}(")
            .Tensor("all", "ByteStorage", "0", bytes.Length, 0, [3, 1_000_000], [1_000_000, 1])
            .Tensor("end", "ByteStorage", "0", bytes.Length, 1_500_001, [1_499_999], [1]).Op("u");
        using var file = PthFile.Open(_raw.Write("m.pth", pickle.Archive(compression, ("data/0", bytes))));
        Assert.Equal(bytes, file.Read("all").data<byte>().ToArray());
        Assert.Equal(bytes[1_500_001..], file.Read("end").data<byte>().ToArray());
    }

    [Fact]
    public void Conversion_to_safetensors_keeps_keys_and_values()
    {
        using var source = PthFile.Open(_raw.Write("m.pth", PthFixtures.Protocol2));
        SafetensorsWriter.Write(_raw.At("m.safetensors"), source);
        using var file = SafetensorsFile.Open(_raw.At("m.safetensors"));
        Assert.Equal(source.Entries.Keys.Order(), file.Entries.Keys.Order());
        foreach (var name in source.Entries.Keys)
        {
            Assert.Equal(source.Entries[name].Type, file.Entries[name].Type);
            Assert.True(source.Read(name).eq(file.Read(name)).all().item<bool>());
        }
    }

    [Theory]
    [InlineData("os", "system")]
    [InlineData("builtins", "eval")]
    [InlineData("torch", "load")]
    public void Another_global_is_refused_by_name(string module, string name) => Fails(
        new PickleBuilder().Op("}(").Text("a").Global(module, name).Op("(").Text("echo").Op("tRu"), $"\"{module}.{name}\"");

    [Fact]
    public void Another_storage_is_refused_by_name() => Fails(
        new PickleBuilder().Op("}(").Tensor("w", "ComplexFloatStorage", "0", 2, 0, [2], [1]).Op("u"), "\"torch.ComplexFloatStorage\"", "expected one of");

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void A_view_with_strides_is_read_in_order(int offset)
    {
        var bytes = Enumerable.Range(0, 200_000).Select(i => (byte)(i * 7 % 251)).ToArray();
        var pickle = new PickleBuilder().Op("}(")
            .Tensor("t", "ByteStorage", "0", bytes.Length, offset, [400, 3, 100], [1, 400, 1200]).Op("u");
        using var file = PthFile.Open(_raw.Write("m.pth", pickle.Archive(CompressionLevel.Fastest, ("data/0", bytes))));
        var expected = tensor(bytes[offset..(offset + 120_000)]).view(100, 3, 400).permute(2, 1, 0);
        Assert.True(file.Read("t").eq(expected).all().item<bool>());
        var target = zeros(400, 3, 100, dtype: ScalarType.Float32);
        file.CopyTo("t", target);
        Assert.True(target.eq(expected).all().item<bool>());
    }

    [Fact]
    public void A_view_that_repeats_its_storage_is_refused() => Fails(
        new PickleBuilder().Op("}(").Tensor("w", "FloatStorage", "0", 2, 0, [1_000_000, 2], [0, 1]).Op("u"), "\"w\"", "repeats", ".contiguous()");

    [Fact]
    public void Several_models_in_one_file_are_refused_by_name() => Fails(
        new PickleBuilder().Op("}(").Text("model").Op("}(").Tensor("w", "FloatStorage", "0", 2, 0, [2], [1]).Op("u")
            .Text("ema").Op("}(").Tensor("w", "FloatStorage", "0", 2, 0, [2], [1]).Op("uu"), "\"model\" and \"ema\"");

    [Fact]
    public void A_tensor_outside_its_storage() => Fails(
        new PickleBuilder().Op("}(").Tensor("w", "FloatStorage", "0", 2, 1, [2], [1]).Op("u"), "\"w\"", "outside", "expected at most 2 elements");

    [Fact]
    public void A_storage_of_another_length() => Fails(
        new PickleBuilder().Op("}(").Tensor("w", "FloatStorage", "0", 3, 0, [3], [1]).Op("u"), "\"w\"", "expected 3 × 4 bytes", "found 8");

    [Fact]
    public void A_missing_storage() => Fails(
        new PickleBuilder().Op("}(").Tensor("w", "FloatStorage", "7", 2, 0, [2], [1]).Op("u"), "\"w\"", "storage \"7\" is not in the archive");

    [Fact]
    public void A_value_that_is_no_tensor() => Fails(new PickleBuilder().Op("}(").Text("epoch").Int(3).Op("u"), "\"epoch\"", "expected a tensor", "found a number");

    [Fact]
    public void A_pickle_of_something_else() => Fails(new PickleBuilder().Int(3), "expected a dictionary of tensors");

    [Theory]
    [InlineData("}")]
    [InlineData("]")]
    [InlineData("N\x94")]
    [InlineData("N\x85")]
    public void A_pickle_of_millions_of_values_is_refused_early(string opcodes)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        Fails(new PickleBuilder().Op(string.Concat(Enumerable.Repeat(opcodes, 2_000_001))), "more than 2000000 values");
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 600L << 20);
    }

    [Fact]
    public void A_pickle_that_is_too_long() => Fails(new PickleBuilder().Op(new string('0', 32_000_001)), "expected at most 32000000 bytes");

    [Fact]
    public void A_stack_that_runs_out() => Fails(new PickleBuilder().Op("R"), "stack");

    [Fact]
    public void Another_opcode() => Fails(new PickleBuilder().Op("i"), "opcode 0x69");

    [Fact]
    public void Big_endian_data() =>
        Fails(new PickleBuilder().Op("}").Archive(CompressionLevel.NoCompression, ("byteorder", "big"u8.ToArray())), "byteorder: expected little");

    [Fact]
    public void A_file_that_is_no_archive() => Fails([0x80, 0x02, 0x8A], "not a complete zip archive");

    [Theory]
    [InlineData(16)]
    [InlineData(500)]
    [InlineData(20_000)]
    public void A_truncated_file_of_the_old_form(int length) =>
        Fails(File.ReadAllBytes(Path.Combine(GoldenFolder.Path, "checkpoints", "torch-legacy-some-keys.pth"))[..length], "truncated");

    [Fact]
    public void A_truncated_archive() => Fails(PthFixtures.Protocol2[..^30], "not a complete zip archive");

    [Fact]
    public void An_archive_without_a_pickle()
    {
        using var stream = new MemoryStream();
        using (var archive = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true))
        {
            archive.CreateEntry("readme.txt");
        }

        Fails(stream.ToArray(), "expected one data.pkl", "found 0");
    }

    [Fact]
    public void No_damage_does_more_than_fail()
    {
        var random = new Random(2);
        // A small one of the old form: the pickles and the first storages.
        var legacy = File.ReadAllBytes(Path.Combine(GoldenFolder.Path, "checkpoints", "torch-legacy-some-keys.pth"));
        var opened = 0;
        for (var round = 0; round < 3000; round++)
        {
            var bytes = (byte[])((round % 3) switch { 0 => PthFixtures.Protocol2, 1 => PthFixtures.Protocol4, _ => legacy }).Clone();
            if (round % 5 == 0)
            {
                bytes = bytes[..random.Next(bytes.Length)];
            }
            else
            {
                for (var i = 0; i <= round % 3; i++)
                {
                    bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
                }
            }

            opened += Survives(_raw.Write("fuzz.pth", bytes)) ? 1 : 0;
        }

        Assert.InRange(opened, 1, 2500);
    }

    public void Dispose()
    {
        _scope.Dispose();
        _raw.Dispose();
    }

    private static bool Survives(string path)
    {
        try
        {
            using var file = PthFile.Open(path);
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

    private void Fails(PickleBuilder pickle, params string[] parts) =>
        Fails(pickle.Archive(CompressionLevel.NoCompression, ("data/0", new byte[8])), parts);

    private void Fails(byte[] bytes, params string[] parts)
    {
        var path = _raw.Write("bad.pth", bytes);
        RawFile.Fault(() => PthFile.Open(path), [path, .. parts]);
        File.Delete(path);
    }
}
