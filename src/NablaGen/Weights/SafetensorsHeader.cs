using System.Buffers.Binary;
using System.Text.Json;
using NablaGen.Files;

namespace NablaGen.Weights;

/// <summary>
/// The directory at the head of a safetensors file: 8 bytes of length, then JSON that gives each tensor's type, shape and
/// place in the data that follow. All of it is verified, so that no later read can fail because of it.
/// </summary>
internal sealed class SafetensorsHeader
{
    // The limit of the format's own library: a longer header is an attack or garbage.
    private const long LongestHeader = 100_000_000;

    // Wan's convolutions have five.
    private const int MostSides = 16;

    private const string MetadataKey = "__metadata__";
    private const string Expected = "a safetensors file";

    private static readonly string[] TypeNames = Enum.GetNames<StoredType>();

    private readonly string _path;
    private readonly long _dataStart;
    private readonly long _dataBytes;

    private SafetensorsHeader(string path, long dataStart, long fileBytes)
    {
        _path = path;
        _dataStart = dataStart;
        _dataBytes = fileBytes - dataStart;
    }

    /// <summary>The tensors by key; offsets count from the start of the file.</summary>
    public Dictionary<string, TensorEntry> Entries { get; } = new(StringComparer.Ordinal);

    /// <summary>The file's own notes.</summary>
    public Dictionary<string, string> Metadata { get; } = new(StringComparer.Ordinal);

    /// <summary>Reads and verifies the header of a file.</summary>
    /// <exception cref="NablaGenException">The file is truncated or malformed.</exception>
    public static SafetensorsHeader Read(MappedFile file)
    {
        if (file.Length < 8)
        {
            throw FileKind.Error(
                file.Path, Expected, $"{file.Path}: is not a safetensors file: expected at least 8 bytes, found {file.Length}.");
        }

        Span<byte> head = stackalloc byte[8];
        file.Read(0, head);
        var length = BinaryPrimitives.ReadUInt64LittleEndian(head);
        if (length > (ulong)(file.Length - 8))
        {
            throw FileKind.Error(file.Path, Expected, length > LongestHeader
                ? $"{file.Path}: is not a safetensors file: its first 8 bytes are no header's length."
                : $"{file.Path}: the header is longer than the file: expected {length} bytes after the first 8, found {file.Length - 8}; "
                    + "the file is truncated or not a safetensors file.");
        }

        if (length > LongestHeader)
        {
            throw new NablaGenException($"{file.Path}: the header is too long: expected at most {LongestHeader} bytes, found {length}.");
        }

        var json = new byte[length];
        file.Read(8, json);
        if (length == 0)
        {
            throw FileKind.Error(file.Path, Expected, $"{file.Path}: the header is not JSON: expected text, found none.");
        }

        var header = new SafetensorsHeader(file.Path, 8 + (long)length, file.Length);
        header.Parse(json);
        header.CheckPlaces();
        return header;
    }

    private void Parse(byte[] json)
    {
        using var document = JsonFile.Parse(json, _path, "the header ");
        if (document.RootElement.ValueKind != JsonValueKind.Object)
        {
            throw Bad($"expected a JSON object, found {Kind(document.RootElement)}");
        }

        var hasMetadata = false;
        foreach (var property in document.RootElement.EnumerateObject())
        {
            if (property.Name != MetadataKey)
            {
                if (!Entries.TryAdd(property.Name, ParseEntry(property.Name, property.Value)))
                {
                    throw Bad($"the key {Line.Key(property.Name)} comes twice");
                }
            }
            else if (!hasMetadata)
            {
                hasMetadata = true;
                ParseMetadata(property.Value);
            }
            else
            {
                throw Bad($"the key \"{MetadataKey}\" comes twice");
            }
        }
    }

    private void ParseMetadata(JsonElement notes)
    {
        if (notes.ValueKind != JsonValueKind.Object)
        {
            throw Bad($"\"__metadata__\": expected an object of strings, found {Kind(notes)}");
        }

        foreach (var note in notes.EnumerateObject())
        {
            if (note.Value.ValueKind != JsonValueKind.String)
            {
                throw Bad($"\"__metadata__\", {Line.Key(note.Name)}: expected a string, found {Kind(note.Value)}");
            }

            if (!Metadata.TryAdd(note.Name, note.Value.GetString()!))
            {
                throw Bad($"\"__metadata__\": the key {Line.Key(note.Name)} comes twice");
            }
        }
    }

    private TensorEntry ParseEntry(string name, JsonElement entry)
    {
        if (entry.ValueKind != JsonValueKind.Object)
        {
            throw Bad($"tensor {Line.Key(name)}: expected an object, found {Kind(entry)}");
        }

        string? type = null;
        long[]? shape = null, place = null;
        foreach (var field in entry.EnumerateObject())
        {
            var fresh = field.Name switch
            {
                "dtype" => type is null,
                "shape" => shape is null,
                "data_offsets" => place is null,
                _ => throw Bad($"tensor {Line.Key(name)}: unknown field {Line.Key(field.Name)}; expected dtype, shape and data_offsets"),
            };
            if (!fresh)
            {
                throw Bad($"tensor {Line.Key(name)}: the field \"{field.Name}\" comes twice");
            }

            switch (field.Name)
            {
                case "dtype" when field.Value.ValueKind == JsonValueKind.String:
                    type = field.Value.GetString();
                    break;
                case "dtype":
                    throw Bad($"tensor {Line.Key(name)}: \"dtype\": expected a string, found {Kind(field.Value)}");
                case "shape":
                    shape = Numbers(name, field);
                    break;
                default:
                    place = Numbers(name, field);
                    break;
            }
        }

        if (type is null || shape is null || place is null)
        {
            var missing = type is null ? "dtype" : shape is null ? "shape" : "data_offsets";
            throw Bad($"tensor {Line.Key(name)}: the field \"{missing}\" is missing");
        }

        if (!Array.Exists(TypeNames, known => known == type))
        {
            throw Bad($"tensor {Line.Key(name)}: unknown dtype {Line.Key(type)}; expected one of {string.Join(", ", TypeNames)}");
        }

        return Place(name, Enum.Parse<StoredType>(type), shape, place);
    }

    private TensorEntry Place(string name, StoredType type, long[] shape, long[] place)
    {
        if (place.Length != 2 || place[1] < place[0])
        {
            throw Bad($"tensor {Line.Key(name)}: \"data_offsets\": expected [begin, end], found {Line.Shape(place)}");
        }

        var found = place[1] - place[0];
        if (!ByteCounts.TryOf(shape, type, out var expected))
        {
            throw Bad($"tensor {Line.Key(name)}: the shape {Line.Shape(shape)} is too large");
        }

        if (expected != found)
        {
            throw Bad($"tensor {Line.Key(name)}: {type} {Line.Shape(shape)} and its data_offsets {Line.Shape(place)} disagree: "
                + $"expected {expected} bytes, found {found}");
        }

        // Offsets stay relative until CheckPlaces has seen that they lie inside the file.
        return new TensorEntry(name, type, shape, place[0], found);
    }

    private long[] Numbers(string name, JsonProperty field)
    {
        if (field.Value.ValueKind != JsonValueKind.Array)
        {
            throw Bad($"tensor {Line.Key(name)}: \"{field.Name}\": expected a list of numbers, found {Kind(field.Value)}");
        }

        if (field.Value.GetArrayLength() is var count and > MostSides)
        {
            throw Bad($"tensor {Line.Key(name)}: \"{field.Name}\": expected at most {MostSides} numbers, found {count}");
        }

        return [.. field.Value.EnumerateArray().Select(item =>
            item.ValueKind == JsonValueKind.Number && item.TryGetInt64(out var number) && number >= 0
                ? number
                : throw Bad($"tensor {Line.Key(name)}: \"{field.Name}\": expected whole numbers from 0, "
                    + $"found {Line.Key(item.GetRawText())}"))];
    }

    // The tensors must cover the data exactly: no overlap, no gap, nothing outside, nothing left over.
    private void CheckPlaces()
    {
        var ordered = Entries.Values.OrderBy(entry => entry.Offset).ThenBy(entry => entry.ByteCount).ToList();
        long end = 0;
        TensorEntry? previous = null;
        foreach (var entry in ordered)
        {
            if (entry.Offset < end)
            {
                throw Bad($"tensors {Line.Key(previous!.Name)} and {Line.Key(entry.Name)} overlap: expected the second to start at byte "
                    + $"{end} of the data, found {entry.Offset}");
            }

            if (entry.Offset > _dataBytes)
            {
                throw Bad($"tensor {Line.Key(entry.Name)} lies outside the file: expected its end, {entry.Offset + entry.ByteCount}, "
                    + $"within the data's {_dataBytes} bytes; the offset is wrong or the file is truncated");
            }

            if (entry.Offset > end)
            {
                throw Bad($"tensor {Line.Key(entry.Name)} leaves a gap before it: expected it to start at byte {end} of the data, "
                    + $"found {entry.Offset}");
            }

            end = entry.Offset + entry.ByteCount;
            previous = entry;
        }

        if (end > _dataBytes)
        {
            var cut = ordered.First(entry => entry.Offset + entry.ByteCount > _dataBytes);
            throw new NablaGenException($"{_path}: the data are truncated in tensor {Line.Key(cut.Name)}: "
                + $"expected {end} bytes after the header, found {_dataBytes}.");
        }

        if (end < _dataBytes)
        {
            throw new NablaGenException(
                $"{_path}: has data that belongs to no tensor: expected {end} bytes after the header, found {_dataBytes}.");
        }

        foreach (var entry in ordered)
        {
            Entries[entry.Name] = entry with { Offset = entry.Offset + _dataStart };
        }
    }

    private static string Kind(JsonElement element) => JsonKinds.Name(element.ValueKind);

    private NablaGenException Bad(string what) => new(Line.Of($"{_path}: bad header: {what}."));
}
