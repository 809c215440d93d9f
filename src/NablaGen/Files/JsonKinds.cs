using System.Text.Json;

namespace NablaGen.Files;

/// <summary>The names of the kinds of JSON values in messages.</summary>
internal static class JsonKinds
{
    /// <summary>The kind with its article, for "found …".</summary>
    public static string Name(JsonValueKind kind) => kind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "a list",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => "a number",
        JsonValueKind.True => "true",
        JsonValueKind.False => "false",
        _ => "null",
    };
}
