using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using NablaGen.Files;

namespace NablaGen.Training.Runs;

/// <summary>The course of a training: a JSON object a line, and as a picture.</summary>
public sealed class LossLog
{
    private readonly string _path;
    private readonly List<(int Step, double Loss)> _course = [];
    private bool _failed;

    /// <summary>Opens the log of a training, or begins it. Lines after <paramref name="step"/>, from a run that was cut off, are dropped.</summary>
    /// <exception cref="NablaGenException">It can't be read or written, or is no log.</exception>
    public LossLog(string path, int step)
    {
        _path = path;
        var lines = new List<string>();
        try
        {
            var found = File.Exists(path) ? File.ReadAllLines(path) : [];
            foreach (var line in found)
            {
                // A full disk or a power cut may have torn the last line; that it was after the state was saved is sure.
                if (ReferenceEquals(line, found[^1]) && !IsWhole(line))
                {
                    break;
                }

                var fields = JsonNode.Parse(line)!;
                var (at, loss) = ((int)fields["step"]!, (double)fields["loss"]!);
                if (at <= step)
                {
                    lines.Add(line);
                    _course.Add((at, loss));
                }
            }
        }
        catch (Exception e) when (e is JsonException or NullReferenceException or InvalidOperationException or FormatException or OverflowException or ArgumentException or IOException or UnauthorizedAccessException)
        {
            throw new NablaGenException($"{path}: not the log of a training: {Line.Of(e.Message, 300)}", e);
        }

        OutputFile.Write(path, file =>
        {
            using var writer = new StreamWriter(file, leaveOpen: true) { NewLine = "\n" };
            lines.ForEach(writer.WriteLine);
        });
    }

    /// <summary>Step and loss of each record.</summary>
    public IReadOnlyList<(int Step, double Loss)> Course => _course;

    /// <summary>Adds a line. A log that cannot be written any more does not end the training.</summary>
    /// <returns>Why there is no log from here on, once; null otherwise.</returns>
    public string? Add(LossRecord record)
    {
        _course.Add((record.Step, record.Loss));
        if (_failed)
        {
            return null;
        }

        var fields = new JsonObject { ["step"] = record.Step };
        foreach (var (name, value) in record.Measures)
        {
            fields[name] = Short(value);
        }

        fields["learning_rate"] = Short(record.LearningRate);
        fields["steps_per_second"] = Short(record.StepsPerSecond);
        fields["clips_per_second"] = Short(record.ClipsPerSecond);
        try
        {
            File.AppendAllText(_path, fields.ToJsonString() + "\n");
            return null;
        }
        catch (Exception e) when (OutputFile.IsOfFiles(e))
        {
            _failed = true;
            return $"{_path}: the log ends here: {e.Message}";
        }
    }

    private static bool IsWhole(string line)
    {
        try
        {
            using var document = JsonDocument.Parse(line);
            return document.RootElement.ValueKind == JsonValueKind.Object
                && document.RootElement.TryGetProperty("step", out _) && document.RootElement.TryGetProperty("loss", out _);
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static double Short(double value) => double.Parse(value.ToString("G5", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
}
