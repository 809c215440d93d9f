using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Serialization;
using NablaGen.Generation;

namespace NablaGen.Jobs.Batch;

/// <summary>A line of the manifest: how making a row ended. Of a row's lines in one file the last counts.</summary>
public sealed record ManifestEntry
{
    /// <summary>When, in UTC.</summary>
    public required DateTimeOffset Time { get; init; }

    /// <summary>The name of the row's files, without an ending.</summary>
    public required string Name { get; init; }

    /// <summary>How it ended.</summary>
    public required RowState State { get; init; }

    /// <summary>The row's number in the batch, from 1.</summary>
    public required int Row { get; init; }

    /// <summary>The file and line that it came from.</summary>
    public required string Where { get; init; }

    /// <summary>Seconds it took.</summary>
    public required double Seconds { get; init; }

    /// <summary>Why it failed; null where it did not.</summary>
    public string? Error { get; init; }

    /// <summary>The video's file name; null where it failed.</summary>
    public string? Video { get; init; }

    /// <summary>The video's size; null where it failed.</summary>
    public long? Bytes { get; init; }

    /// <summary>The video's SHA-256, 64 lower-case hexadecimal digits; null where it failed.</summary>
    public string? Sha256 { get; init; }

    /// <summary>The mean density of the attention; null where it failed or was made of saved latents.</summary>
    public double? Density { get; init; }

    /// <summary>The machine that made it.</summary>
    public required string Host { get; init; }

    /// <summary>Everything that makes the video what it is.</summary>
    public required Recipe Recipe { get; init; }

    /// <summary>
    /// Whether this line is about the same video. The device, the model's name and NablaGen's version may differ: a batch may go on
    /// elsewhere, and after an update.
    /// </summary>
    /// <param name="recipe">The recipe of a row.</param>
    public bool Has(Recipe recipe) => Key == KeyOf(recipe);

    /// <summary>Which video this line is about: equal for equal recipes, wherever they ran.</summary>
    [JsonIgnore]
    internal string Key => KeyOf(Recipe);

    /// <summary>A recipe's <see cref="Key"/>, 32 hexadecimal digits.</summary>
    internal static string KeyOf(Recipe recipe)
    {
        var asked = (recipe with { Device = "", Model = "", Version = "" }).Asked;
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(asked.ToJson())))[..32];
    }
}
