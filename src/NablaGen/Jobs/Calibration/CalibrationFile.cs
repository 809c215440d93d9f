using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using NablaGen.Files;
using NablaGen.Generation;

namespace NablaGen.Jobs.Calibration;

/// <summary>Thresholds on disk: JSON that a person can read, compare and change.</summary>
public static class CalibrationFile
{
    private static readonly JsonSerializerOptions Json = new(Recipe.Json) { WriteIndented = true };

    /// <summary>Sees before the work that a file can be written.</summary>
    /// <exception cref="NablaGenException">Its name does not end in <c>.json</c>, or nothing can be written there.</exception>
    public static void Check(string path) => OutputFile.Prepare(path, ".json");

    /// <summary>Writes a file, aside first.</summary>
    /// <exception cref="NablaGenException">It cannot be written.</exception>
    public static void Write(string path, CalibratedThresholds thresholds)
    {
        var json = new JsonObject { ["format"] = ThresholdFile.Format, ["format_version"] = ThresholdFile.FormatVersion };
        foreach (var (name, value) in JsonSerializer.SerializeToNode(thresholds, Json)!.AsObject())
        {
            json[name] = value?.DeepClone();
        }

        OutputFile.Write(path, file => file.Write(Encoding.UTF8.GetBytes(json.ToJsonString(Json).ReplaceLineEndings("\n") + "\n")));
    }

    /// <summary>Reads a file.</summary>
    /// <exception cref="NablaGenException">It cannot be read, is cut or is no file of thresholds, or a number is wrong; the line says which.</exception>
    public static CalibratedThresholds Read(string path) =>
        ThresholdFile.Read<CalibratedThresholds>(path, file => (file.Layers, file.Heads, file.Thresholds));
}
