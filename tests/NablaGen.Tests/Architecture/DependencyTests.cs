namespace NablaGen.Tests.Architecture;

/// <summary>Who may know whom, read from the compiled code: the arrows of the design.</summary>
public class DependencyTests
{
    private const string Cuda = "NablaGen.Cuda";
    private const string Tensor = "TorchSharp.torch+Tensor";

    // The namespace NablaGen itself: exceptions, version, stages.
    private const string Root = "";

    // The folders of src/NablaGen and what each may know beside itself and the root namespace.
    private static readonly string[] Models = ["Models", "Attention", "Weights", "Tensors", "Files", Cuda];
    private static readonly string[] Generation = ["Generation", "Denoising", "Distributed", "Memory", "Video", .. Models];
    private static readonly Dictionary<string, string[]> Known = new()
    {
        [Root] = [],
        ["Files"] = [],
        ["Hub"] = ["Files"],
        ["Tensors"] = ["Files", Cuda],
        ["Weights"] = ["Tensors", "Files"],
        ["Attention"] = ["Tensors", Cuda],
        ["Models"] = Models,
        ["Distributed"] = ["Attention", "Tensors", Cuda],
        ["Denoising"] = ["Distributed", .. Models],
        ["Memory"] = Models,
        ["Video"] = ["Tensors", "Files"],
        ["Generation"] = Generation,
        ["Jobs"] = Generation,
    };

    // Arrows that are wrong today. The list may only shrink: one that is mended fails until it is struck out.
    private static readonly (string From, string To)[] Debts = [];

    private static readonly Lazy<IReadOnlyCollection<CodeReference>> Core = new(() => CompiledAssembly.References(SourceAssemblies.Core));

    [Fact]
    public void No_folder_knows_what_stands_above_it()
    {
        var wrong = BackArrows().Where(reference => !Debts.Contains((reference.FromType, Outermost(reference.Type))));
        AssertNone(wrong.Select(reference => $"{reference.Place} refers to {reference.Target}"));
    }

    [Fact]
    public void Each_known_debt_is_still_owed()
    {
        var owed = BackArrows().Select(reference => (reference.FromType, Outermost(reference.Type))).ToHashSet();
        AssertNone(Debts.Where(debt => !owed.Contains(debt)).Select(debt => $"{debt.From} does not know {debt.To} any more: strike it out"));
    }

    [Fact]
    public void Each_folder_is_known_here() =>
        Assert.Equal(Known.Keys.Order(), Core.Value.Select(reference => FolderOf(reference.FromType)).OfType<string>().Distinct().Order());

    [Fact]
    public void Lambdas_and_async_methods_belong_to_who_wrote_them()
    {
        var references = CompiledAssembly.References(typeof(DependencyTests).Assembly).Where(reference => reference.FromType == typeof(ReaderSample).FullName).ToList();
        Assert.Contains(references, reference => reference is { FromMember: nameof(ReaderSample.Lambda), Type: "System.Math", Member: "Cbrt" });
        Assert.Contains(references, reference => reference is { FromMember: nameof(ReaderSample.Async), Type: "System.Math", Member: "Log2" });
        Assert.Contains(references, reference => reference is { FromMember: nameof(ReaderSample.Signature), Type: "System.UriBuilder", Member: null });
    }

    [Fact]
    public void The_floor_and_training_know_only_what_is_below_them()
    {
        AssertNone(Foreign(SourceAssemblies.Cuda, "TorchSharp", "NablaGen.Core", "NablaGen.Training", "nablagen"));
        AssertNone(Foreign(SourceAssemblies.Core, "NablaGen.Training", "nablagen"));
        AssertNone(Foreign(SourceAssemblies.Training, "nablagen"));
    }

    [Fact]
    public void The_command_line_has_no_tensor_code() => AssertNone(CompiledAssembly.References(SourceAssemblies.Cli)
        .Where(reference => reference.Type == Tensor).Select(reference => $"{reference.Place} refers to {reference.Target}"));

    [Fact]
    public void Training_alone_reaches_the_gradients_launchers()
    {
        static bool IsGradient(CodeReference reference) => reference.Assembly == Cuda && reference.Type.StartsWith(Cuda, StringComparison.Ordinal)
            && (reference.Type.Contains("Backward", StringComparison.Ordinal) || reference.Type.Contains("Gradient", StringComparison.Ordinal));

        Assert.Contains(CompiledAssembly.References(SourceAssemblies.Training), IsGradient);
        AssertNone(Core.Value.Concat(CompiledAssembly.References(SourceAssemblies.Cli)).Where(IsGradient)
            .Select(reference => $"{reference.Place} refers to {reference.Target}"));
    }

    [Fact]
    public void Attention_has_a_forward_pass_only_and_opens_no_file()
    {
        string[] autograd = ["get_requires_grad", "requires_grad_", "is_grad_enabled", "backward"];
        string[] files = ["System.IO.File", "System.IO.FileInfo", "System.IO.FileStream", "System.IO.Directory", "System.IO.StreamReader"];
        AssertNone(Core.Value.Where(reference => FolderOf(reference.FromType) == "Attention")
            .Where(reference => reference.Type.StartsWith("TorchSharp.torch+autograd", StringComparison.Ordinal) || autograd.Contains(reference.Member)
                || files.Contains(reference.Type))
            .Select(reference => $"{reference.Place} refers to {reference.Target}"));
    }

    [Fact]
    public void No_two_types_have_one_name()
    {
        var twins = SourceAssemblies.All.SelectMany(assembly => assembly.GetTypes())
            .Where(type => !type.IsNested && type.Namespace?.StartsWith("NablaGen", StringComparison.Ordinal) == true && !type.Name.Contains('<'))
            .GroupBy(type => type.Name)
            .Where(group => group.Count() > 1);
        AssertNone(twins.Select(group => string.Join(" and ", group.Select(type => type.FullName))));
    }

    private static IEnumerable<CodeReference> BackArrows() => Core.Value.Where(reference =>
        reference.Assembly is "NablaGen.Core" or Cuda && FolderOf(reference.FromType) is { } from
        && FolderOf(reference.Type) is { } to && to != Root && to != from && !Known.GetValueOrDefault(from, []).Contains(to));

    private static IEnumerable<string> Foreign(System.Reflection.Assembly assembly, params string[] others) => CompiledAssembly.References(assembly)
        .Where(reference => others.Contains(reference.Assembly)).Select(reference => $"{reference.Place} refers to {reference.Target}");

    // Null for what the compiler makes; the GPU floor counts as one.
    private static string? FolderOf(string type)
    {
        if (type.StartsWith(Cuda + ".", StringComparison.Ordinal))
        {
            return Cuda;
        }

        var parts = Outermost(type).Split('.');
        return parts[0] != "NablaGen" ? null : parts.Length > 2 ? parts[1] : Root;
    }

    private static string Outermost(string type) => type.Split('+')[0];

    private static void AssertNone(IEnumerable<string> lines)
    {
        var found = lines.Distinct().Order(StringComparer.Ordinal).ToList();
        Assert.True(found.Count == 0, string.Join('\n', found));
    }
}
