using NablaGen.Jobs.Compare;

namespace NablaGen.Cli.Output;

/// <summary>A comparison's numbers, a line an expression.</summary>
internal static class ComparisonTable
{
    public static void Write(TextWriter output, ComparisonReport report) => Write(output, [.. report.Expressions.Select(MeanExpression.Of)]);

    public static void Write(TextWriter output, IReadOnlyList<MeanExpression> expressions)
    {
        var name = Math.Max(9, expressions.Max(one => one.Attention.Length)) + 2;
        output.WriteLine($"{"attention".PadRight(name)}{"density",7}{"seconds",9}{"speed-up",10}{"PSNR",8}{"SSIM",8}{"flicker",9}");
        foreach (var one in expressions)
        {
            output.WriteLine($"{one.Attention.PadRight(name)}{one.Density,7:0.000}{one.SamplingSeconds,9:0.0}{one.SpeedUp,10:0.00}"
                + $"{Number(one.Psnr, "0.00"),8}{Number(one.Ssim, "0.0000"),8}{Number(one.Flicker, "0.00"),9}");
        }
    }

    private static string Number(double? value, string format) => value switch
    {
        null => "-",
        double.PositiveInfinity => "equal",
        { } number => number.ToString(format),
    };
}
