namespace NablaGen.Generation.Fields;

/// <summary>Where a request field may be written.</summary>
[Flags]
public enum FieldPlaces
{
    /// <summary>Nowhere.</summary>
    None = 0,

    /// <summary>An option of the commands that make videos.</summary>
    CommandLine = 1,

    /// <summary>A key or column of a batch's rows.</summary>
    Row = 2,

    /// <summary>A key of the recipe that a video carries.</summary>
    Recipe = 4,

    /// <summary>A key of <c>defaults</c> in a model folder's <c>nablagen.json</c>.</summary>
    Defaults = 8,

    /// <summary>A key of a preset.</summary>
    Preset = 16,

    /// <summary>Everywhere.</summary>
    All = CommandLine | Row | Recipe | Defaults | Preset,
}
