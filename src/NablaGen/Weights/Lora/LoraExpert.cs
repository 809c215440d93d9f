namespace NablaGen.Weights.Lora;

/// <summary>Which of a model's transformers a LoRA is for, where there are two.</summary>
public enum LoraExpert
{
    /// <summary>All that there are.</summary>
    All,

    /// <summary>The expert for noisy latents alone.</summary>
    High,

    /// <summary>The other expert alone.</summary>
    Low,
}
