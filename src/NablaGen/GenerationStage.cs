namespace NablaGen;

/// <summary>The stages of a generation, in order.</summary>
public enum GenerationStage
{
    /// <summary>Checking every file.</summary>
    Check,

    /// <summary>Reading the text encoder and encoding the prompts.</summary>
    EncodeText,

    /// <summary>Reading the image encoder and the VAE and encoding the pictures; only where there are any.</summary>
    EncodeImage,

    /// <summary>Reading the transformer.</summary>
    LoadTransformer,

    /// <summary>Measuring the attention, in a calibration alone.</summary>
    Measure,

    /// <summary>Noise → latents.</summary>
    Sample,

    /// <summary>Reading the VAE, latents → frames → file.</summary>
    Decode,
}
