using System.Text.Json.Serialization;

namespace NablaGen.Training.Optimization;

/// <summary>What moves the matrices inside a model; all else is AdamW's.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<OptimizerMethod>))]
public enum OptimizerMethod
{
    /// <summary>AdamW moves them too.</summary>
    [JsonStringEnumMemberName("adamw")]
    AdamW,

    /// <summary><see cref="Optimization.Muon"/>.</summary>
    [JsonStringEnumMemberName("muon")]
    Muon,
}
