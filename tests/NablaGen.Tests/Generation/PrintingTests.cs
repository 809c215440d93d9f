using System.Collections;
using System.Reflection;
using NablaGen.Attention;
using NablaGen.Generation;
using NablaGen.Models;

namespace NablaGen.Tests.Generation;

/// <summary>A record that is printed, as a debugger and a log do, says what it holds on one line and comes to an end.</summary>
public sealed class PrintingTests
{
    private static readonly HeadThresholds Thresholds = new([[0.5, 0.25]]);

    private static readonly GenerationRequest Request = new PartialRequest
    {
        Prompt = "two\nlines",
        Seed = 7,
        Attention = AttentionExpression.Nabla(Thresholds, "x.json"),
    }.ToRequest(GenerationDefaults.Wan);

    private static readonly Recipe Recipe = Recipe.Of(Request, "m", "0123", "cpu", "float32") with { Thresholds = [0.5, 0.25] };

    // What a sample of a type is made of, where its own parts would not do.
    private static readonly object[] Known =
    [
        "x", 1, 1L, 1.0, 1f, true, Request, Recipe, Request.Values, Thresholds, AttentionExpression.Dense, new ModelDefaults([]), TimeSpan.FromSeconds(1),
        DateTimeOffset.UnixEpoch,
    ];

    public static TheoryData<Type> Records { get; } = new(typeof(GenerationRequest).Assembly.GetExportedTypes().Where(IsRecord));

    [Theory]
    [MemberData(nameof(Records))]
    public void Every_public_record_prints_on_one_line(Type type)
    {
        if (Sample(type) is not { } sample)
        {
            Assert.Skip($"{type.Name} cannot be made of simple parts");
            return;
        }

        var text = sample.ToString()!;
        Assert.NotEqual(0, text.Length);
        Assert.DoesNotContain('\n', text);
        if (type.Namespace!.StartsWith("NablaGen.Generation", StringComparison.Ordinal) || type.Namespace.StartsWith("NablaGen.Jobs.Batch", StringComparison.Ordinal))
        {
            Assert.DoesNotContain("System.", text);
        }
    }

    [Fact]
    public void Most_records_can_be_made() => Assert.InRange(
        typeof(GenerationRequest).Assembly.GetExportedTypes().Where(IsRecord).Count(type => Sample(type) is not null), 35, int.MaxValue);

    [Fact]
    public void A_recipe_a_request_and_a_result_say_what_they_are()
    {
        const string Expected = "prompt \"two lines\", ";
        Assert.StartsWith(Expected, $"{Request}");
        Assert.Contains(", seed 7, attention nabla-x.json, dense steps 0, dense layers 0, steps 50, solver unipc, shift 5, guidance 5, width 832", $"{Request}");
        Assert.StartsWith(Expected, $"{Recipe}");
        Assert.EndsWith("fps 16, model m (0123), float32 on cpu, NablaGen " + NablaGenVersion.Text, $"{Recipe}");
        var result = new GenerationResult("a.mp4", null, Recipe, 0.25, new Dictionary<GenerationStage, double> { [GenerationStage.Sample] = 1.5 }, 1 << 20);
        Assert.Equal($"a.mp4: {Recipe}; density 0.250; sample 1.5 s; 1 MiB", $"{result}");
        Assert.Equal($"1 layers of 2 heads ({Thresholds.Hash})", $"{Thresholds}");
    }

    private static bool IsRecord(Type type) => type is { IsAbstract: false, ContainsGenericParameters: false }
        && type.GetMethod("PrintMembers", BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.DeclaredOnly) is not null;

    private static object? Sample(Type type)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        if (Known.FirstOrDefault(type.IsInstanceOfType) is { } known)
        {
            return known;
        }

        if (type.IsEnum)
        {
            return Enum.GetValues(type).GetValue(0);
        }

        if (type.IsArray || (type.IsGenericType && type.IsInterface && type.GetGenericArguments().Length == 1 && typeof(IEnumerable).IsAssignableFrom(type)))
        {
            var item = type.GetElementType() ?? type.GetGenericArguments()[0];
            var array = Array.CreateInstance(item, 1);
            array.SetValue(Sample(item), 0);
            return array;
        }

        if (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IReadOnlyDictionary<,>))
        {
            // A key that is a pair, say, can't be made here, nor can its record.
            if (Sample(type.GetGenericArguments()[0]) is not { } key)
            {
                return null;
            }

            var items = (IDictionary)Activator.CreateInstance(typeof(Dictionary<,>).MakeGenericType(type.GetGenericArguments()))!;
            items.Add(key, Sample(type.GetGenericArguments()[1]));
            return items;
        }

        return IsRecord(type) ? MakeRecord(type) : null;
    }

    private static object? MakeRecord(Type type)
    {
        if (type.GetProperties(BindingFlags.Static | BindingFlags.Public).FirstOrDefault(property => property.PropertyType == type) is { } ready)
        {
            return ready.GetValue(null);
        }

        var constructor = type.GetConstructors().OrderByDescending(one => one.GetParameters().Length).FirstOrDefault();
        var parts = constructor?.GetParameters().Select(parameter => Sample(parameter.ParameterType)).ToArray() ?? [];
        if ((constructor is null && !type.IsValueType) || parts.Contains(null))
        {
            return null;
        }

        var made = constructor?.Invoke(parts) ?? Activator.CreateInstance(type)!;
        foreach (var property in type.GetProperties(BindingFlags.Instance | BindingFlags.Public).Where(property => property.CanWrite))
        {
            if (Sample(property.PropertyType) is { } value)
            {
                property.SetValue(made, value);
            }
        }

        return made;
    }
}
