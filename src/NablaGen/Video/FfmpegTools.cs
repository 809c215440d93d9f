using System.Collections.Concurrent;
using System.Text.RegularExpressions;
using FFMpegCore;

namespace NablaGen.Video;

/// <summary>
/// The ffmpeg of this machine: where it and ffprobe are, its version and the H.264 encoder that works. What is found out of it is kept
/// for the process.
/// </summary>
/// <remarks>
/// Looked for in the place that the environment variable <see cref="Variable"/> names, then on PATH, then (Windows) in winget's folder.
/// </remarks>
public sealed partial class FfmpegTools
{
    /// <summary>NABLAGEN_FFMPEG: the environment variable that names a folder with ffmpeg and ffprobe, or the ffmpeg file itself.</summary>
    public const string Variable = "NABLAGEN_FFMPEG";

    /// <summary>The encoder that is taken wherever it works: the best quality for its size.</summary>
    internal const string BestEncoder = "libx264";

    // Best first: libx264, then the other software encoder, then hardware.
    private static readonly string[] Preference =
    [
        BestEncoder, "libopenh264", "h264_nvenc", "h264_amf", "h264_qsv", "h264_videotoolbox", "h264_mf", "h264_vaapi", "h264_v4l2m2m",
    ];

    // Each start of ffmpeg takes 0.1 s, and a command looks for it more than once. Another file under the same name is asked anew.
    private static readonly ConcurrentDictionary<(string Path, DateTime Written, long Length), Knowledge> Known = new();

    private readonly Knowledge _known;

    // FFMpegCore, which builds command lines and reads ffprobe's answers, would else take its settings from any ffmpeg.config.json that
    // lies in the current folder.
    static FfmpegTools() => GlobalFFOptions.Configure(new FFOptions());

    private FfmpegTools(string ffmpeg, string? ffprobe)
    {
        Ffmpeg = ffmpeg;
        Ffprobe = ffprobe;
        var file = new FileInfo(ffmpeg);
        _known = Known.GetOrAdd((ffmpeg, file.LastWriteTimeUtc, file.Exists ? file.Length : 0), _ => new Knowledge());
    }

    /// <summary>Full path of ffmpeg.</summary>
    public string Ffmpeg { get; }

    /// <summary>Full path of ffprobe; null where ffmpeg came without it.</summary>
    public string? Ffprobe { get; }

    /// <summary>How long ffmpeg and ffprobe may take for an answer, and for a trial frame.</summary>
    internal TimeSpan AnswerLimit { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>How long ffmpeg may take no frame, and how long it may take to finish a file after the last one.</summary>
    internal TimeSpan StallLimit { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>The H.264 encoder that has encoded a frame before in this process; null where none was tried.</summary>
    internal string? KnownEncoder => _known.Encoder;

    /// <summary>How to get ffmpeg on this operating system, such as <c>sudo apt-get install ffmpeg</c>.</summary>
    public static string InstallCommand =>
        OperatingSystem.IsWindows() ? "winget install ffmpeg"
        : OperatingSystem.IsMacOS() ? "brew install ffmpeg"
        : "sudo apt-get install ffmpeg";

    /// <summary>Finds the machine's ffmpeg.</summary>
    /// <exception cref="NablaGenException">There is none; the message says how to get it.</exception>
    public static FfmpegTools Find() =>
        Find(Environment.GetEnvironmentVariable(Variable), Environment.GetEnvironmentVariable("PATH"));

    /// <summary>Finds ffmpeg in a given place, or on a search path.</summary>
    /// <param name="place">What <see cref="Variable"/> would hold: a folder with ffmpeg in it, or that file; null or blank for none.</param>
    /// <param name="searchPath">What PATH would hold; looked at where there is no <paramref name="place"/>.</param>
    /// <exception cref="NablaGenException">There is none; the message says how to get it.</exception>
    public static FfmpegTools Find(string? place, string? searchPath)
    {
        if (!string.IsNullOrWhiteSpace(place))
        {
            var named = Path.GetFullPath(place);
            var folder = File.Exists(named) && Path.GetFileName(named) == FileName("ffmpeg") ? Path.GetDirectoryName(named)! : named;
            return In([folder])
                ?? throw new NablaGenException($"{Variable}={place}: expected a folder with {FileName("ffmpeg")} in it, or that file itself");
        }

        var folders = (searchPath ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).ToList();
        if (OperatingSystem.IsWindows())
        {
            // winget adds this folder to PATH only for consoles opened afterwards.
            folders.Add(Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData), "Microsoft", "WinGet", "Links"));
        }

        return In(folders)
            ?? throw new NablaGenException($"ffmpeg was not found on PATH: install it ({InstallCommand}) or let {Variable} name its folder");
    }

    /// <summary>The first line that <c>ffmpeg -version</c> prints.</summary>
    /// <param name="cancellation">Ends ffmpeg.</param>
    /// <exception cref="NablaGenException">ffmpeg cannot be run, fails or gives no answer.</exception>
    public string ReadVersion(CancellationToken cancellation = default) =>
        _known.Version ??= Ask(cancellation, "-version").Output.Split('\n')[0].Trim();

    /// <summary>Names of the H.264 encoders ffmpeg was built with; one for hardware may be listed and yet not work here.</summary>
    /// <param name="cancellation">Ends ffmpeg.</param>
    /// <exception cref="NablaGenException">ffmpeg cannot be run, fails or gives no answer.</exception>
    public IReadOnlyList<string> ListH264Encoders(CancellationToken cancellation = default) => _known.Encoders ??=
        [.. EncoderLine().Matches(Ask(cancellation, "-hide_banner", "-encoders").Output).Select(match => match.Groups[1].Value)];

    /// <summary>
    /// The best H.264 encoder that works here: libx264 where it encodes a trial frame, else the first that does of those ffmpeg was built
    /// with. Found once a process.
    /// </summary>
    /// <param name="cancellation">Ends ffmpeg.</param>
    /// <exception cref="NablaGenException">There is none, or ffmpeg cannot be run.</exception>
    public string PickH264Encoder(CancellationToken cancellation = default)
    {
        if (_known.Encoder is { } known)
        {
            return known;
        }

        var best = TrialFrame(BestEncoder, cancellation);
        if (best is null)
        {
            return _known.Encoder = BestEncoder;
        }

        // One that does not even load says so here.
        var listed = ListH264Encoders(cancellation);
        var tried = listed.Contains(BestEncoder) ? $"tried {BestEncoder}: {best}" : $"{BestEncoder} is missing";
        foreach (var encoder in Preference.Where(name => name != BestEncoder && listed.Contains(name)))
        {
            if (TrialFrame(encoder, cancellation) is not { } reason)
            {
                return _known.Encoder = encoder;
            }

            tried += $"; tried {encoder}: {reason}";
        }

        throw new NablaGenException($"{Ffmpeg} has no H.264 encoder that works here ({tried}): "
            + $"install a full ffmpeg ({InstallCommand}) or let {Variable} name its folder");
    }

    /// <summary>Sees that ffprobe is there and runs.</summary>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="NablaGenException">There is none, or it cannot be run.</exception>
    public void CheckFfprobe(CancellationToken cancellation = default)
    {
        var answer = FfmpegProcess.Ask(NeedFfprobe(), ["-version"], AnswerLimit, cancellation);
        if (answer.ExitCode != 0)
        {
            throw new NablaGenException($"{Ffprobe} cannot be run: {answer.Reason}");
        }
    }

    /// <summary>Whether a video was written into a folder before in this process.</summary>
    internal bool HasWrittenTo(string folder) => _known.Folders.ContainsKey(folder);

    /// <summary>A video was written into a folder through an encoder: neither needs to be tried again.</summary>
    internal void Remember(string encoder, string folder)
    {
        _known.Encoder = encoder;
        _known.Folders[folder] = true;
    }

    /// <summary>The path of ffprobe.</summary>
    /// <exception cref="NablaGenException">There is none.</exception>
    internal string NeedFfprobe() => Ffprobe
        ?? throw new NablaGenException($"{Ffmpeg} has no ffprobe beside it: install a full ffmpeg ({InstallCommand})");

    private static FfmpegTools? In(IReadOnlyList<string> folders) =>
        FindProgram("ffmpeg", folders) is { } ffmpeg
            ? new FfmpegTools(ffmpeg, FindProgram("ffprobe", [Path.GetDirectoryName(ffmpeg)!, .. folders]))
            : null;

    private static string? FindProgram(string name, IEnumerable<string> folders) =>
        folders.Select(folder => Path.GetFullPath(Path.Combine(folder, FileName(name)))).FirstOrDefault(IsProgram);

    private static bool IsProgram(string path)
    {
        const UnixFileMode AnyExecute = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
        return File.Exists(path) && (OperatingSystem.IsWindows() || (File.GetUnixFileMode(path) & AnyExecute) != 0);
    }

    private static string FileName(string program) => OperatingSystem.IsWindows() ? program + ".exe" : program;

    // Why an encoder does not work; null where it does. One grey frame, as raw as a video's, to nowhere.
    private string? TrialFrame(string encoder, CancellationToken cancellation)
    {
        // Hardware encoders refuse very small frames.
        const int Side = 256;
        string[] arguments =
        [
            "-hide_banner", "-nostdin", "-loglevel", "error", "-f", "rawvideo", "-pixel_format", "yuv420p", "-video_size", $"{Side}x{Side}",
            "-framerate", "16", "-i", "pipe:0", "-c:v", encoder, "-f", "null", "-",
        ];
        var grey = new byte[Side * Side * 3 / 2];
        grey.AsSpan().Fill(128);
        var answer = FfmpegProcess.Ask(Ffmpeg, arguments, AnswerLimit, cancellation, grey);
        return answer.ExitCode == 0 ? null : answer.Reason;
    }

    private FfmpegAnswer Ask(CancellationToken cancellation, params string[] arguments)
    {
        var answer = FfmpegProcess.Ask(Ffmpeg, arguments, AnswerLimit, cancellation);
        return answer.ExitCode == 0 ? answer : throw new NablaGenException($"{Ffmpeg} cannot be run: {answer.Reason}");
    }

    // " V....D libx264              libx264 H.264 / AVC / MPEG-4 AVC / MPEG-4 part 10 (codec h264)"
    [GeneratedRegex(@"^ V\S{5} (\S+) .*\(codec h264\)\s*$", RegexOptions.Multiline)]
    private static partial Regex EncoderLine();

    // What this process has found out of one ffmpeg.
    private sealed class Knowledge
    {
        public string? Version { get; set; }

        public IReadOnlyList<string>? Encoders { get; set; }

        public string? Encoder { get; set; }

        public ConcurrentDictionary<string, bool> Folders { get; } = new();
    }
}
