using System.Globalization;
using System.Text.Json.Nodes;
using NablaGen.Files;
using NablaGen.Models.Wan.Dit;

namespace NablaGen.Models.Wan;

/// <summary>What a model was trained for, as <c>nablagen.json</c> says it (<c>trained_for</c>), and what Wan's published models were.</summary>
internal static class TrainedForJson
{
    private static readonly (int Width, int Height) Area480 = (832, 480), Area720 = (1280, 720);

    /// <summary>Reads it.</summary>
    /// <exception cref="NablaGenException">A value is wrong, or a key is unknown.</exception>
    public static TrainedFor Read(JsonFields fields)
    {
        var frames = fields.Ints("frames") ?? [];
        if (frames.Length is not (0 or 2) || (frames.Length == 2 && frames[0] > frames[1]))
        {
            throw fields.Error("frames", "the fewest and the most", Line.Shape(frames.Select(count => (long)count)));
        }

        var threshold = fields.Double("safe_threshold", 0);
        if (threshold is < 0 or > 1)
        {
            throw fields.Error("safe_threshold", "a threshold from 0 to 1", threshold.ToString(CultureInfo.InvariantCulture));
        }

        var trained = new TrainedFor
        {
            Sizes = [.. (fields.Strings("sizes") ?? []).Select(size => Size(fields, "sizes", size))],
            Areas = [.. (fields.Strings("areas") ?? []).Select(size => Size(fields, "areas", size))],
            Frames = frames.Length == 0 ? null : (frames[0], frames[1]),
            Stills = fields.Bool("stills", false),
            SafeThreshold = threshold == 0 ? null : threshold,
            Words = fields.Strings("words") ?? [],
        };
        fields.RefuseOthers();
        return trained;
    }

    /// <summary>What <see cref="Read"/> reads.</summary>
    public static JsonObject Write(TrainedFor trained)
    {
        var json = new JsonObject();
        Add("sizes", [.. trained.Sizes.Select(size => $"{size.Width}x{size.Height}")]);
        Add("areas", [.. trained.Areas.Select(size => $"{size.Width}x{size.Height}")]);
        if (trained.Frames is var (fewest, most))
        {
            json["frames"] = new JsonArray(fewest, most);
        }

        if (trained.Stills)
        {
            json["stills"] = true;
        }

        if (trained.SafeThreshold is { } threshold)
        {
            json["safe_threshold"] = threshold;
        }

        Add("words", trained.Words);
        return json;

        void Add(string name, IReadOnlyList<string> values)
        {
            if (values.Count > 0)
            {
                json[name] = new JsonArray([.. values.Select(value => (JsonNode?)JsonValue.Create(value))]);
            }
        }
    }

    /// <summary>What the published model of some sizes was trained for (wan/configs); null for others.</summary>
    public static TrainedFor? Of(DitConfig dit) => dit switch
    {
        { Dim: 1536, NumLayers: 30 } => new TrainedFor { Areas = [Area480], Frames = (1, 81) },
        { Dim: 5120, NumLayers: 40 } => new TrainedFor { Areas = [Area480, Area720], Frames = (1, 81) },
        _ => null,
    };

    private static (int Width, int Height) Size(JsonFields fields, string name, string text)
    {
        var sides = text.Split('x');
        return sides.Length == 2 && Side(sides[0]) is { } width && Side(sides[1]) is { } height
            ? (width, height)
            : throw fields.Error(name, "sizes such as \"832x480\"", Line.Key(text));
    }

    private static int? Side(string text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var side) && side > 0 ? side : null;
}
