using System.Buffers.Binary;
using NablaGen.Weights;

namespace NablaGen.Tests.Weights;

/// <summary>One test a fault: the line must name the file, the key, what was expected and what was found.</summary>
public sealed class SafetensorsFileTests : IDisposable
{
    private readonly RawFile _raw = new();

    [Fact]
    public void A_missing_file_and_a_folder_are_told_apart()
    {
        RawFile.Fault(() => SafetensorsFile.Open(_raw.At("none")), _raw.At("none"), "no such file");
        RawFile.Fault(() => SafetensorsFile.Open(_raw.Folder), _raw.Folder, "expected a file, found a folder");
    }

    [Fact]
    public void An_empty_file() => Fails([], "is an empty file, not a safetensors file");

    [Fact]
    public void A_header_longer_than_the_file()
    {
        var bytes = RawFile.Bytes("{}", 0);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, 1234);
        Fails(bytes, "header is longer than the file", "expected 1234 bytes", "found 2");
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, ulong.MaxValue);
        Fails(bytes, "is not a safetensors file", "no header's length");
    }

    [Fact]
    public void A_header_above_the_cap()
    {
        var path = _raw.At("huge");
        using (var file = File.Create(path))
        {
            file.Write(BitConverter.GetBytes(100_000_001L));
            file.SetLength(100_000_009); // a hole: takes no disk
        }

        RawFile.Fault(() => SafetensorsFile.Open(path), path, "expected at most 100000000 bytes", "found 100000001");
    }

    [Theory]
    [InlineData("<html>\nNot found\n</html>")]
    [InlineData("")]
    [InlineData("{\"a\":")]
    [InlineData("{\"\\ud800\":{}}")]
    [InlineData("{\"a\":1}x")]
    public void Not_json(string header) => Fails(RawFile.Bytes(header, 0), "header is not JSON");

    [Fact]
    public void A_shape_of_too_many_sides() =>
        Fails(RawFile.Bytes($$$"""{"a":{"dtype":"F32","shape":[{{{string.Join(',', Enumerable.Repeat(1, 17))}}}],"data_offsets":[0,4]}}""", 4), "at most 16 numbers", "found 17");

    [Fact]
    public void Not_utf8()
    {
        var bytes = RawFile.Bytes("{\"??\":1}", 0);
        bytes[10] = 0xFF;
        Fails(bytes, "header is not JSON");
    }

    [Fact]
    public void Not_an_object() => Fails(RawFile.Bytes("[1]", 0), "expected a JSON object", "found a list");

    [Fact]
    public void A_key_twice() => Fails(
        RawFile.Bytes($"{{{Entry("a", "F32", "[1]", "[0,4]")},{Entry("a", "F32", "[1]", "[4,8]")}}}", 8), "\"a\"", "twice");

    [Fact]
    public void Notes_that_are_no_strings() =>
        Fails(RawFile.Bytes("""{"__metadata__":{"n":3}}""", 0), "\"__metadata__\"", "\"n\"", "expected a string", "found a number");

    [Fact]
    public void An_unknown_dtype() => Fails(One("F4", "[2]", "[0,4]", 4), "\"w\"", "dtype \"F4\"", "expected one of", "BF16");

    [Fact]
    public void A_number_for_a_dtype() => Fails(
        RawFile.Bytes("""{"w":{"dtype":1,"shape":[1],"data_offsets":[0,4]}}""", 4), "\"w\"", "expected a string", "found a number");

    [Fact]
    public void A_field_that_is_missing_or_unknown_or_twice()
    {
        Fails(RawFile.Bytes("""{"w":{"dtype":"F32","shape":[1]}}""", 4), "\"w\"", "\"data_offsets\" is missing");
        Fails(RawFile.Bytes("""{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}""", 4), "\"w\"", "unknown field \"x\"", "expected dtype");
        Fails(RawFile.Bytes("""{"w":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 4), "\"w\"", "\"dtype\" comes twice");
    }

    [Fact]
    public void A_shape_and_bytes_that_disagree() => Fails(One("F32", "[2,3]", "[0,20]", 20), "\"w\"", "F32 [2, 3]", "expected 24 bytes", "found 20");

    [Fact]
    public void A_shape_beyond_all_bounds() => Fails(
        One("F32", "[9223372036854775807,9223372036854775807,9223372036854775807]", "[0,4]", 4), "\"w\"", "too large");

    [Theory]
    [InlineData("[-1]")]
    [InlineData("[1.5]")]
    [InlineData("[\"2\"]")]
    [InlineData("2")]
    public void A_shape_of_no_whole_numbers(string shape) => Fails(One("F32", shape, "[0,4]", 4), "\"w\"", "\"shape\"", "expected", "found");

    [Theory]
    [InlineData("[4,0]")]
    [InlineData("[0]")]
    [InlineData("[0,4,4]")]
    public void Offsets_of_no_range(string place) => Fails(One("F32", "[1]", place, 4), "\"w\"", "expected [begin, end]", "found [");

    [Fact]
    public void Overlapping_offsets() => Fails(
        RawFile.Bytes($"{{{Entry("a", "F32", "[2]", "[0,8]")},{Entry("b", "F32", "[2]", "[4,12]")}}}", 12),
        "\"a\"", "\"b\"", "overlap", "expected the second to start at byte 8", "found 4");

    [Fact]
    public void Offsets_outside_the_file() => Fails(
        RawFile.Bytes($"{{{Entry("a", "F32", "[2]", "[0,8]")},{Entry("b", "F32", "[2]", "[400,408]")}}}", 16),
        "\"b\"", "outside the file", "expected its end, 408, within", "16 bytes");

    [Fact]
    public void A_hole_between_tensors() => Fails(
        RawFile.Bytes($"{{{Entry("a", "F32", "[2]", "[0,8]")},{Entry("b", "F32", "[2]", "[12,20]")}}}", 20),
        "\"b\"", "gap", "expected it to start at byte 8", "found 12");

    [Fact]
    public void Truncated_data() => Fails(
        RawFile.Bytes($"{{{Entry("a", "F32", "[2]", "[0,8]")},{Entry("b", "F32", "[2]", "[8,16]")}}}", 15),
        "truncated in tensor \"b\"", "expected 16 bytes", "found 15");

    [Fact]
    public void Data_left_over() => Fails(One("F32", "[1]", "[0,4]", 9), "belongs to no tensor", "expected 4 bytes", "found 9");

    [Fact]
    public void A_key_with_line_breaks_still_makes_one_line() =>
        Fails(RawFile.Bytes("""{"a\nb\u2028c":{"dtype":"F4","shape":[1],"data_offsets":[0,4]}}""", 4), "\"a b c\"");

    [Fact]
    public void A_file_cut_short_while_open_is_an_error_not_a_crash()
    {
        var path = _raw.Write("cut", One("F32", "[64,1024]", "[0,262144]", 262144));
        using var file = SafetensorsFile.Open(path);
        using (var cut = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete))
        {
            cut.SetLength(1000);
        }

        RawFile.Fault(() => file.Read("w"), path, "truncated while in use");
    }

    [Fact]
    public void No_damage_to_the_header_does_more_than_fail()
    {
        var good = RawFile.Bytes(
            $$$"""{"__metadata__":{"format":"pt"},{{{Entry("blocks.0.weight", "BF16", "[3,4]", "[0,24]")}}},{{{Entry("é", "F8_E4M3", "[]", "[24,25]")}}}}""", 25);
        var header = good.Length - 25;
        var random = new Random(1);
        var opened = 0;
        for (var round = 0; round < 4000; round++)
        {
            var bytes = (byte[])good.Clone();
            switch (round % 3)
            {
                case 0:
                    bytes[random.Next(header)] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    for (var i = 0; i < 3; i++)
                    {
                        bytes[random.Next(header)] = (byte)random.Next(256);
                    }

                    break;
                default:
                    bytes = bytes[..random.Next(bytes.Length)];
                    break;
            }

            opened += Survives(_raw.Write("fuzz", bytes)) ? 1 : 0;
        }

        // Flips inside a key or a note do no harm, so some must open; most must not.
        Assert.InRange(opened, 1, 3000);
    }

    public void Dispose() => _raw.Dispose();

    private static bool Survives(string path)
    {
        try
        {
            using var file = SafetensorsFile.Open(path);
            foreach (var name in file.Entries.Keys)
            {
                using var value = file.Read(name);
                Assert.Equal(file.Entries[name].Shape, value.shape);
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

    private static string Entry(string name, string type, string shape, string place) =>
        $$"""
        "{{name}}":{"dtype":"{{type}}","shape":{{shape}},"data_offsets":{{place}}}
        """;

    private static byte[] One(string type, string shape, string place, int dataBytes) =>
        RawFile.Bytes($"{{{Entry("w", type, shape, place)}}}", dataBytes);

    private void Fails(byte[] bytes, params string[] parts)
    {
        var path = _raw.Write("bad.safetensors", bytes);
        RawFile.Fault(() => SafetensorsFile.Open(path), [path, .. parts]);
        // The file is closed again: Windows would refuse this otherwise.
        File.Delete(path);
    }
}
