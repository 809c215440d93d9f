using System.Globalization;
using System.Numerics;
using System.Reflection;
using System.Reflection.Emit;
using System.Text;
using NablaGen.Cuda.Device;
using NablaGen.Tensors;

namespace NablaGen.Tests.Build;

/// <summary>
/// Nothing in the library formats, parses, sorts or compares in the culture of the program that uses it: read from the compiled methods, for
/// no analyzer sees <c>"a" + 0.5</c>, an interpolated string or the order of strings.
/// </summary>
public class CultureTests
{
    private const BindingFlags All = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    private static readonly Dictionary<ushort, OpCode> OpCodesByValue = typeof(OpCodes).GetFields()
        .Select(field => (OpCode)field.GetValue(null)!).ToDictionary(code => (ushort)code.Value);

    [Theory]
    [InlineData(typeof(TorchRuntime))]
    [InlineData(typeof(CudaDevice))]
    public void The_library_does_not_ask_for_the_culture(Type one)
    {
        var found = one.Assembly.GetTypes().SelectMany(Methods).SelectMany(Sensitive).Distinct().Order(StringComparer.Ordinal).ToArray();
        Assert.True(found.Length == 0, "these depend on the culture of the program's user:\n" + string.Join('\n', found));
    }

    [Fact]
    public void Each_way_of_asking_is_found() =>
        Assert.Equal(
            typeof(Samples).GetMethods(All).Where(method => method.Name != nameof(Samples.Fine)).Select(method => method.Name).Order(StringComparer.Ordinal),
            typeof(Samples).GetMethods(All).SelectMany(Sensitive).Select(line => line.Split([' ', '.'])[^1]).Distinct().Order(StringComparer.Ordinal));

    [Fact]
    public void Interpolated_strings_are_invariant()
    {
        var before = CultureInfo.CurrentCulture;
        var culture = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        culture.NumberFormat.NumberDecimalSeparator = ",";
        culture.NumberFormat.NegativeSign = "~";
        try
        {
            CultureInfo.CurrentCulture = culture;
            Assert.Equal("0,5", 0.5.ToString(culture));
            Assert.Equal("-0.5, 0.50 |   -1.5|-1    |", $"{-0.5}, {0.5:0.00} |{-1.5,7:0.0}|{-1,-6}|");
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    private static IEnumerable<MethodBase> Methods(Type type) =>
        [.. type.GetMethods(All), .. type.GetConstructors(All)];

    // "called in Type.Method", for each call of a method that depends on the culture. A record's own text is for people alone.
    private static IEnumerable<string> Sensitive(MethodBase method)
    {
        var code = method.Name == "PrintMembers" ? null : method.GetMethodBody()?.GetILAsByteArray();
        Type? constrained = null;
        for (var at = 0; at < code?.Length;)
        {
            var value = code[at] == 0xFE ? (ushort)(0xFE00 | code[at + 1]) : code[at];
            at += value > 255 ? 2 : 1;
            var op = OpCodesByValue[value];
            if (op == OpCodes.Constrained)
            {
                constrained = method.Module.ResolveType(BitConverter.ToInt32(code, at), TypeArguments(method), MethodArguments(method));
            }
            else if (op.OperandType == OperandType.InlineMethod)
            {
                var called = method.Module.ResolveMethod(BitConverter.ToInt32(code, at), TypeArguments(method), MethodArguments(method))!;
                if (DependsOnCulture(called, constrained))
                {
                    yield return $"{(constrained ?? called.DeclaringType)!.Name}.{called.Name} in {method.DeclaringType}.{method.Name}";
                }

                constrained = null;
            }

            at += op.OperandType == OperandType.InlineSwitch ? 4 + 4 * BitConverter.ToInt32(code, at) : OperandSize(op.OperandType);
        }
    }

    private static int OperandSize(OperandType type) => type switch
    {
        OperandType.InlineNone => 0,
        OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
        OperandType.InlineVar => 2,
        OperandType.InlineI8 or OperandType.InlineR => 8,
        _ => 4,
    };

    private static Type[]? TypeArguments(MethodBase method) => method.DeclaringType is { IsGenericType: true } type ? type.GetGenericArguments() : null;

    private static Type[]? MethodArguments(MethodBase method) => method.IsGenericMethod ? method.GetGenericArguments() : null;

    private static bool DependsOnCulture(MethodBase called, Type? constrained)
    {
        var type = constrained ?? called.DeclaringType!;
        Type[] parameters = [.. called.GetParameters().Select(parameter => parameter.ParameterType)];
        if (parameters.Any(SaysHow))
        {
            return false;
        }

        var generic = called.IsGenericMethod ? called.GetGenericArguments() : [];
        return called.Name switch
        {
            "ToString" or "Parse" or "TryParse" or "TryFormat" => IsNumber(type),
            ".ctor" when type.FullName == "System.Runtime.CompilerServices.DefaultInterpolatedStringHandler" => type.Assembly == typeof(string).Assembly,
            ".ctor" => type == typeof(StringBuilder.AppendInterpolatedStringHandler)
                || (type.IsGenericType && type.Name.StartsWith("Sorted", StringComparison.Ordinal) && HasString(type.GetGenericArguments()[0])),
            "ToLower" or "ToUpper" => type == typeof(string) || type == typeof(char),
            "StartsWith" or "EndsWith" or "IndexOf" or "LastIndexOf" => type == typeof(string) && parameters[0] == typeof(string),
            "Compare" or "CompareTo" => type == typeof(string),
            "Format" => type == typeof(string),
            "AppendFormat" => type == typeof(StringBuilder),
            "Append" => type == typeof(StringBuilder) && (IsNumber(parameters[0]) || parameters[0] == typeof(object)),
            "Write" or "WriteLine" => parameters.Any(IsNumber) && (typeof(TextWriter).IsAssignableFrom(type) || type == typeof(Console)),
            "Concat" or "Join" or "AppendJoin" => (type == typeof(string) || type == typeof(StringBuilder)) && (generic.Any(IsNumber)
                || parameters.Any(parameter => parameter == typeof(object) || parameter == typeof(object[]) || parameter == typeof(ReadOnlySpan<object>))),
            "ToDouble" or "ToSingle" => type == typeof(Convert) && parameters[0] == typeof(string),
            "Order" or "OrderDescending" => HasString(generic[0]),
            "OrderBy" or "OrderByDescending" or "ThenBy" or "ThenByDescending" => type == typeof(Enumerable) && HasString(generic[1]),
            "Max" or "Min" => type == typeof(Enumerable) && (parameters.Length == 1 ? generic : generic.Skip(1)).Any(HasString),
            "Sort" => generic.Take(1).Any(HasString) || (type.IsGenericType && parameters.Length == 0 && HasString(type.GetGenericArguments()[0])),
            "get_CurrentCulture" or "get_CurrentUICulture" => type == typeof(CultureInfo),
            _ => false,
        };
    }

    private static bool SaysHow(Type parameter) =>
        typeof(IFormatProvider).IsAssignableFrom(parameter) || parameter == typeof(StringComparison)
        || parameter.Name.StartsWith("IComparer", StringComparison.Ordinal) || parameter.Name.StartsWith("Comparison", StringComparison.Ordinal);

    private static bool IsNumber(Type type) =>
        (Nullable.GetUnderlyingType(type) ?? type) is { IsEnum: false } plain
        && (plain == typeof(DateTime) || plain == typeof(DateTimeOffset)
            || (plain != typeof(char) && plain.GetInterfaces().Any(one => one.IsGenericType && one.GetGenericTypeDefinition() == typeof(INumberBase<>))));

    private static bool HasString(Type type) => type == typeof(string)
        || (type.IsGenericType && type.Name.StartsWith("ValueTuple", StringComparison.Ordinal) && type.GetGenericArguments().Any(HasString));

    // What the rules above must find, one a method.
    private static class Samples
    {
        public static string Plain(double x) => x.ToString();

        public static string Sum(double x) => "a" + x;

        public static double Parsed(string x) => double.Parse(x);

        public static bool TryParsed(string x) => int.TryParse(x, out _);

        public static string[] Ordered(string[] x) => [.. x.Order()];

        public static string[] OrderedBy(string[] x) => [.. x.OrderBy(y => y.Trim())];

        public static string[] OrderedByPair(string[] x) => [.. x.OrderBy(y => (y.Length, y))];

        public static void Sorted(List<string> x) => x.Sort();

        public static SortedDictionary<string, int> SortedKeys() => [];

        public static string Joined(double[] x) => string.Join(",", x);

        public static string Formatted(double x) => string.Format("{0}", x);

        public static StringBuilder Appended(double x) => new StringBuilder().Append(x);

        public static StringBuilder AppendedText(double x) => new StringBuilder().Append($"{x}");

        public static bool Begins(string x) => x.StartsWith("ij");

        public static string Lower(string x) => x.ToLower();

        public static CultureInfo Asked() => CultureInfo.CurrentCulture;

        public static string Fine(double x, string[] y) =>
            $"{x} {x.ToString(CultureInfo.InvariantCulture)} {y.Order(StringComparer.Ordinal).First().ToLowerInvariant()} {"a".StartsWith('a')}";
    }
}
