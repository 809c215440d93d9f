using System.Globalization;
using System.Reflection;
using System.Text.RegularExpressions;
using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Compilation;

namespace NablaGen.Tests.Cuda;

/// <summary>What a kernel and its launcher must agree on is written once.</summary>
public partial class LaunchConstantsTests
{
    private static readonly IReadOnlyDictionary<string, int> Constants = typeof(LaunchConstants).GetFields(BindingFlags.Public | BindingFlags.Static)
        .Where(field => field.FieldType == typeof(int)).ToDictionary(field => "k" + field.Name, field => (int)field.GetRawConstantValue()!);

    [Fact]
    public void Kernels_get_every_constant_through_a_header_that_all_include()
    {
        var source = KernelSource.Load("attention_plan");
        var header = source.Headers.Single(header => header.Name == LaunchConstants.HeaderName).Text;
        Assert.All(Constants, constant => Assert.Contains(
            string.Create(CultureInfo.InvariantCulture, $"constexpr int {constant.Key} = {constant.Value};"), header, StringComparison.Ordinal));
        Assert.Contains($"#include \"{LaunchConstants.HeaderName}\"", source.Headers.Single(header => header.Name == "common.cuh").Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_constant_is_used_by_a_kernel()
    {
        var texts = KernelSource.Names.Select(name => KernelSource.Load(name).Text)
            .Concat(KernelSource.Load(KernelSource.Names[0]).Headers.Where(header => header.Name != LaunchConstants.HeaderName).Select(header => header.Text)).ToArray();
        Assert.All(Constants.Keys, name => Assert.Contains(texts, text => Regex.IsMatch(text, $@"\b{name}\b")));
    }

    [Fact]
    public void No_kernel_writes_such_a_number_itself()
    {
        foreach (var name in KernelSource.Names)
        {
            var text = KernelSource.Load(name).Text;
            Assert.DoesNotMatch(LiteralThreads(), text);
            Assert.All(Constants.Keys, constant => Assert.DoesNotMatch($@"\bint {constant} =", text));
            // The plan's entries: shifts and masks by their names only.
            Assert.DoesNotMatch(LiteralEntry(), text);
        }
    }

    [Fact]
    public void An_entry_of_the_plan_has_room_for_its_parts()
    {
        Assert.True(BlockOffsets.MaxBlocks < 1 << LaunchConstants.EntryKeyBits);
        Assert.Equal(LaunchConstants.EntryKeyBits + LaunchConstants.QueryBlocks, LaunchConstants.EntryTokensBit);
        // Tokens − 1 of a block.
        Assert.True((long)(BlockOffsets.BlockSize - 1) << LaunchConstants.EntryTokensBit <= uint.MaxValue);
    }

    [GeneratedRegex(@"__launch_bounds__\(\s*\d|int kThreads = \d|#define (QUERY_BLOCKS|STAGES)")]
    private static partial Regex LiteralThreads();

    [GeneratedRegex(@"0x3fffff|(<<|>>) \(?2[25]\b")]
    private static partial Regex LiteralEntry();
}
