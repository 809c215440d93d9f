using System.CommandLine;
using System.Globalization;
using NablaGen.Generation;

namespace NablaGen.Cli.Commands;

/// <summary>Options that several commands have. Each command makes its own.</summary>
internal static class SharedOptions
{
    public static Option<string?> Model() => new("--model", "-m")
    {
        Description = "Model folder (official or Diffusers layout), or a transformer's file with the rest around it or named below [default: NABLAGEN_MODEL, or the model in the box]",
        HelpName = "PATH",
    };

    /// <summary>An option's values, or its default ones. Its description names them: help would join them with bars, which no command line takes.</summary>
    public static string[] Values(ParseResult parsed, Option<string[]> option, string[] byDefault) =>
        parsed.GetResult(option) is null ? byDefault : parsed.GetValue(option)!;

    public static Option<string> Device() => new("--device")
    {
        Description = "auto, cpu, cuda or cuda:<number>",
        HelpName = "DEVICE",
        DefaultValueFactory = _ => "auto",
        CompletionSources = { "auto", "cpu", "cuda", "cuda:0" },
    };

    public static Option<string> Dtype() => new("--dtype")
    {
        Description = "Type of the large matrix products: auto (float32 on the CPU, bfloat16 on CUDA), float32 or bfloat16",
        HelpName = "TYPE",
        DefaultValueFactory = _ => "auto",
        CompletionSources = { "auto", "float32", "bfloat16" },
    };

    public static Option<string> Precision() => new("--precision")
    {
        Description = "Products of the transformer's layers: bf16 (the type of --dtype), fp8 (Hopper), fp8-inner (all layers but the first and the last), or auto (bf16)",
        HelpName = "NAME",
        DefaultValueFactory = _ => PrecisionChoice.Auto,
        CompletionSources = { PrecisionChoice.Auto, PrecisionChoice.Sixteen, PrecisionChoice.Fp8, PrecisionChoice.Fp8Inner },
    };

    public static Option<string> AttentionPrecision() => new("--attention-precision")
    {
        Description = "Self-attention: bf16 (the type of --dtype), eight (int8 and fp8; Ada, Hopper and newer, heads of 128 channels), or auto (bf16)",
        HelpName = "NAME",
        DefaultValueFactory = _ => PrecisionChoice.Auto,
        CompletionSources = { PrecisionChoice.Auto, PrecisionChoice.Sixteen, PrecisionChoice.Eight },
    };

    public static Option<string> Weights() => new("--weights")
    {
        Description = "Weights that a file has in fp8 or GGUF's blocks: expanded (to --dtype, as they are read) or resident (in the GPU's memory as stored, expanded for each product)",
        HelpName = "NAME",
        DefaultValueFactory = _ => PrecisionChoice.Expanded,
        CompletionSources = { PrecisionChoice.Expanded, PrecisionChoice.Resident },
    };

    public static Option<string?> Vram() => new("--vram")
    {
        Description = "Most GPU memory to use, such as 8GB or 7.5GiB; layers that do not fit are streamed from the host [default: what is free]",
        HelpName = "SIZE",
    };

    public static Option<string?> Output() => new("--output", "-o")
    {
        Description = "Video to write: an .mp4, or a .png for one frame [default: out.mp4, or the first free out-<n>.mp4]",
        HelpName = "FILE",
    };

    public static Option<bool> DiscardLatents() => new("--discard-latents") { Description = "Remove the latents once the video is made" };

    /// <summary>A real number, with a point: .NET's own reading would take 5,5 for 55.</summary>
    public static Option<double?> Number(string description, string helpName, string name, params string[] aliases) => new(name, aliases)
    {
        Description = description,
        HelpName = helpName,
        CustomParser = result =>
        {
            var text = result.Tokens[0].Value;
            if (double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value))
            {
                return value;
            }

            result.AddError($"{name}: '{text}' is not a number");
            return null;
        },
    };
}
