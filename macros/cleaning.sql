{# Names without padding, with single spaces inside and capitals in front; an empty one is NULL. #}
{% macro person_name(column) -%}
    nullif(initcap(trim(regexp_replace({{ column }}, '\s+', ' ', 'g'))), '')
{%- endmacro %}

{# The bank writes Yes, yes, Y, no, N, None or nothing. What is neither yes nor no is NULL. #}
{% macro flag(column) -%}
    case
        when upper(trim({{ column }})) in ('YES', 'Y') then true
        when upper(trim({{ column }})) in ('NO', 'N') then false
    end
{%- endmacro %}

{# Dates come as 2026-03-02 and as 02/03/2026. #}
{% macro parsed_date(column) -%}
    to_date(nullif(trim({{ column }}), ''), '%Y-%m-%d', '%d/%m/%Y')
{%- endmacro %}
