using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using NablaGen.Files;
using NablaGen.Generation;

namespace NablaGen.Jobs.Calibration;

/// <summary>Thresholds on disk: JSON that a person can read, compare and change.</summary>
public static class CalibrationFile
{
    private const string Format = "nablagen-thresholds";
    private const int FileVersion = 1;

    private static readonly JsonSerializerOptions Json = new(Recipe.Json) { WriteIndented = true };

    /// <summary>Sees before the work that a file can be written.</summary>
    /// <exception cref="NablaGenException">Its name does not end in <c>.json</c>, or nothing can be written there.</exception>
    public static void Check(string path) => OutputFile.Prepare(path, ".json");

    /// <summary>Writes a file, aside first.</summary>
    /// <exception cref="NablaGenException">It cannot be written.</exception>
    public static void Write(string path, CalibratedThresholds thresholds)
    {
        var json = new JsonObject { ["format"] = Format, ["format_version"] = FileVersion };
        foreach (var (name, value) in JsonSerializer.SerializeToNode(thresholds, Json)!.AsObject())
        {
            json[name] = value?.DeepClone();
        }

        OutputFile.Write(path, file => file.Write(Encoding.UTF8.GetBytes(json.ToJsonString(Json).ReplaceLineEndings("\n") + "\n")));
    }

    /// <summary>Reads a file.</summary>
    /// <exception cref="NablaGenException">It cannot be read, is cut or is no file of thresholds, or a number is wrong; the line says which.</exception>
    public static CalibratedThresholds Read(string path)
    {
        using var document = JsonFile.Read(path);
        var root = document.RootElement;
        if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty("format", out var format)
            || format.ValueKind != JsonValueKind.String || format.GetString() != Format)
        {
            throw new NablaGenException($"{path}: is not a file of thresholds: expected one that nablagen calibrate wrote");
        }

        var version = root.TryGetProperty("format_version", out var found) ? found.GetRawText() : "none";
        if (version != $"{FileVersion}")
        {
            throw new NablaGenException($"{path}: \"format_version\": expected {FileVersion}, which this NablaGen reads, found {Line.Of(version)}");
        }

        try
        {
            var read = root.Deserialize<CalibratedThresholds>(Json)!;
            var thresholds = read.Thresholds;
            return thresholds is not null && (thresholds.Layers, thresholds.Heads) == (read.Layers, read.Heads)
                ? read
                : throw new NablaGenException($"{path}: says that it is for {read.Layers} layers of {read.Heads} heads, "
                    + $"and it has thresholds for {thresholds?.Layers ?? 0} layers of {thresholds?.Heads ?? 0}");
        }
        catch (JsonException error)
        {
            // What a converter refused says it best itself.
            throw new NablaGenException($"{path}: {Line.Of((error.InnerException as NablaGenException ?? (Exception)error).Message)}", error);
        }
    }
}
