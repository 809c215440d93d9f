using System.Text.RegularExpressions;
using NablaGen.Files;

namespace NablaGen.Jobs.Batch;

/// <summary>Lines of other programs' prompt files, whose options would be made into words of the prompt.</summary>
internal static partial class ForeignFlags
{
    /// <summary>Refuses a line of text that has options in it as musubi, sd-scripts or AUTOMATIC1111's web UI take them.</summary>
    /// <exception cref="InvalidRequestException">It has.</exception>
    public static void Refuse(string line, string where)
    {
        if (Flag().Match(line) is { Success: true } flag)
        {
            throw new InvalidRequestException($"{where}: {Line.Key(flag.Value.Trim())} is an option of another program; here a line of a .txt is a prompt and nothing else: "
                + "use a .csv with columns such as prompt,width,height,frames,steps,seed, or a .jsonl");
        }
    }

    // musubi-tuner and sd-scripts: --w --h --f --d --s --g --l --n --fs --i …; the web UI: the rest, in full.
    [GeneratedRegex(@"(?<=^|\s)--(?:(?:w|h|f|d|s|g|l|fs|ar|am|t)[ =]+-?[\d.:]+|(?:n|i|ei|ci|cn|ctr)[ =]+\S+"
        + @"|(?:prompt|negative[-_]prompt|seed|steps|width|height|cfg[-_]scale|sampler[-_](?:name|index)|batch[-_](?:size|count)|frames|fps|model|outpath[-_]\w+|styles)[ =]+\S+)(?=\s|$)",
        RegexOptions.CultureInvariant)]
    private static partial Regex Flag();
}
