using System.Globalization;
using System.Text.Json;
using NablaGen.Files;
using NablaGen.Weights.Lora;

namespace NablaGen.Generation.Fields;

/// <summary>
/// LoRAs: <c>FILE</c> or <c>FILE:strength</c>, behind <c>high:</c> or <c>low:</c> for one of two experts, several between semicolons in a row, a list
/// in JSON. In a recipe each has its file's name, folder, strength, expert and SHA-256.
/// </summary>
internal sealed class LoraKind : FieldKind<LoraList?>
{
    private const string None = "none";

    private static readonly LoraExpert[] Experts = [LoraExpert.High, LoraExpert.Low];

    internal override string Expected => "a LoRA such as \"file.safetensors:0.8\", or a list of them";

    internal override LoraList Parse(RequestField field, string text, FieldSource source)
    {
        if (text == None)
        {
            return LoraList.Empty;
        }

        // A command line gives one at a time, and a file's name may have a semicolon.
        string[] parts = source.Place == FieldPlaces.CommandLine ? [text] : text.Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        return new LoraList([.. parts.Select(part => One(field, part, source))]);
    }

    internal override LoraList Read(RequestField field, JsonElement json, FieldSource source) => json.ValueKind switch
    {
        JsonValueKind.String => Parse(field, json.GetString()!, source),
        JsonValueKind.Array => new LoraList([.. json.EnumerateArray().Select(item => item.ValueKind switch
        {
            JsonValueKind.String => One(field, item.GetString()!, source),
            JsonValueKind.Object => One(field, item, source),
            _ => throw source.Unexpected(field, Expected, item),
        })]),
        _ => throw source.Unexpected(field, Expected, json),
    };

    internal override void Write(Utf8JsonWriter writer, LoraList? value)
    {
        writer.WriteStartArray();
        foreach (var lora in value ?? LoraList.Empty)
        {
            writer.WriteStartObject();
            writer.WriteString("file", lora.Name);
            // Where it lay says nothing of the video, and lets it be made again.
            if (Path.GetDirectoryName(lora.Path) is { Length: > 0 } folder)
            {
                writer.WriteString("folder", folder);
            }

            writer.WriteNumber("strength", lora.Strength);
            if (lora.Expert != LoraExpert.All)
            {
                writer.WriteString("expert", LoraChoice.NameOf(lora.Expert));
            }

            if (lora.Sha256 is not null)
            {
                writer.WriteString("sha256", lora.Sha256);
            }

            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    internal override string Format(LoraList? value) => value is { Count: > 0 } ? string.Join("; ", value) : None;

    internal override LoraList? Joined(LoraList? first, LoraList? second) => new([.. first ?? LoraList.Empty, .. second ?? LoraList.Empty]);

    // The last colon starts the strength, unless it is that of a Windows drive or of something else that is no number.
    private static LoraChoice One(RequestField field, string text, FieldSource source)
    {
        var expert = Experts.FirstOrDefault(one => text.StartsWith(LoraChoice.NameOf(one) + ":", StringComparison.OrdinalIgnoreCase));
        text = expert == LoraExpert.All ? text : text[(LoraChoice.NameOf(expert).Length + 1)..];
        var colon = text.LastIndexOf(':');
        var (path, strength) = (text, 1.0);
        if (colon > 1)
        {
            var end = text[(colon + 1)..];
            if (double.TryParse(end, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number))
            {
                (path, strength) = (text[..colon], number);
            }
            else if (!end.Contains('/') && !end.Contains('\\') && Path.HasExtension(text[..colon]))
            {
                throw source.Malformed(field, "a file and a strength such as file.safetensors:0.8", text);
            }
        }

        return path.Length > 0 ? new LoraChoice(Placed(path, source), strength) { Expert = expert } : throw source.Malformed(field, "a file of a LoRA", text);
    }

    private static LoraChoice One(RequestField field, JsonElement json, FieldSource source)
    {
        string? Text(string key) => !json.TryGetProperty(key, out var value) || value.ValueKind == JsonValueKind.Null ? null
            : value.ValueKind == JsonValueKind.String ? value.GetString()
            : throw source.Unexpected(field, $"a string as \"{key}\" of a LoRA", value);

        var strength = 1.0;
        if (json.TryGetProperty("strength", out var found)
            && (found.ValueKind != JsonValueKind.Number || !found.TryGetDouble(out strength) || !double.IsFinite(strength)))
        {
            throw source.Unexpected(field, "a number as \"strength\" of a LoRA", found);
        }

        // A recipe of a newer version may say more.
        if (source.Place != FieldPlaces.Recipe && json.EnumerateObject().Select(key => key.Name).FirstOrDefault(key => key is not ("file" or "folder" or "strength" or "expert")) is { } other)
        {
            throw source.Fault(field.Key, $"unknown key {Line.Key(other)} of a LoRA: expected file, folder, strength or expert");
        }

        var file = Text("file") is { Length: > 0 } name ? name : throw source.Unexpected(field, "a \"file\" for each LoRA", json);
        var expert = Text("expert") is not { } named ? LoraExpert.All : Experts.FirstOrDefault(one => LoraChoice.NameOf(one) == named) is not LoraExpert.All and var one ? one
            : throw source.Unexpected(field, "\"high\" or \"low\" as \"expert\" of a LoRA", json.GetProperty("expert"));
        return new LoraChoice(Placed(Path.Combine(Text("folder") ?? "", file), source), strength) { Sha256 = Text("sha256"), Expert = expert };
    }

    private static string Placed(string path, FieldSource source) => source.Folder is { } folder ? Path.Combine(folder, path) : path;
}
