namespace NablaGen.Generation.Fields;

/// <summary>What a field is about, for the order of a help.</summary>
public enum FieldGroup
{
    /// <summary>What is shown.</summary>
    What,

    /// <summary>Sizes, steps and whatever else makes a video better and slower.</summary>
    HowMuch,

    /// <summary>What of the self-attention is computed.</summary>
    Attention,

    /// <summary>The files of the model.</summary>
    Model,
}
